//! What an invalidation is called by those who ask for it: a hash of what is asked, so that asking again changes nothing.
//!
//! Events come at least once, and failed builds are run again. `CloudFront` makes one invalidation of all requests with the same
//! `CallerReference` and the same paths; one that is drawn anew for each request is billed again, one that never changes clears
//! nothing the second time.

use std::fmt::Write as _;

use aws_lc_rs::digest::{Context, SHA256};

use crate::item::Item;

/// The reference for these items of a distribution, because of `content`: what has changed there, such as versions of objects.
/// Other content is another reference, for the same items too. Content that comes back after other content was there is told
/// apart by `after`, the invalidation that cleared that.
#[must_use]
pub fn reference(
    distribution: &str,
    (items, content): (&[Item], &[String]),
    after: Option<&str>,
) -> String {
    let mut hash = Context::new(&SHA256);
    part(&mut hash, distribution);
    order_into(&mut hash, items, content);
    if let Some(after) = after {
        part(&mut hash, after);
    }
    let mut reference = String::from("larder-");
    for byte in hash.finish().as_ref() {
        let _ = write!(reference, "{byte:02x}");
    }
    reference
}

/// A hash of items, and of what they are cleared because of.
pub(crate) fn order(items: &[Item], content: &[String]) -> u64 {
    let mut hash = Context::new(&SHA256);
    order_into(&mut hash, items, content);
    first(hash.finish().as_ref())
}

fn order_into(hash: &mut Context, items: &[Item], content: &[String]) {
    let sorted = |texts: &mut dyn Iterator<Item = &str>| {
        let mut sorted: Vec<_> = texts.map(str::to_owned).collect();
        sorted.sort_unstable();
        sorted.dedup();
        sorted
    };
    for list in [
        sorted(&mut items.iter().map(Item::as_str)),
        sorted(&mut content.iter().map(String::as_str)),
    ] {
        part(hash, &list.len().to_string());
        for text in &list {
            part(hash, text);
        }
    }
}

/// Behind its length, no part can reach into the next one.
fn part(hash: &mut Context, text: &str) {
    hash.update(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
    hash.update(text.as_bytes());
}

fn first(hash: &[u8]) -> u64 {
    hash.first_chunk().copied().map_or(0, u64::from_le_bytes)
}

/// A hash of an item, short enough to keep thousands of them in an item of a table.
pub(crate) fn fingerprint(item: &str) -> u64 {
    first(aws_lc_rs::digest::digest(&SHA256, item.as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_content_is_the_same_reference_in_whatever_order() {
        let [a, b] = ["/a", "/b"].map(|path| Item::parse(path).unwrap());
        let [one, two] = ["v1", "v2"].map(str::to_owned);
        let of = |items: &[&Item], content: &[&String]| {
            let items: Vec<_> = items.iter().copied().cloned().collect();
            let content: Vec<_> = content.iter().copied().cloned().collect();
            reference("E1", (&items, &content), None)
        };
        let first = of(&[&a, &b], &[&one, &two]);
        assert_eq!(first, of(&[&b, &a], &[&two, &one, &one]));
        assert_eq!(first.len(), 7 + 64);
        for other in [
            of(&[&a], &[&one, &two]),
            of(&[&a, &b], &[&one]),
            of(&[&a, &b], &[]),
        ] {
            assert_ne!(first, other);
        }
        let none: (&[Item], &[String]) = (&[], &[]);
        assert_ne!(reference("E1", none, None), reference("E2", none, None));
        assert_ne!(
            reference("E1", none, None),
            reference("E1", none, Some("I1"))
        );
    }
}
