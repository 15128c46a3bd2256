//! Invalidations and lists, as CloudFront writes them.

use std::fmt::Write as _;

pub(super) use quick_xml::escape::partial_escape as escape;

use super::account::{Invalidation, Known};

/// The namespace of this version.
pub(super) const NAMESPACE: &str = "http://cloudfront.amazonaws.com/doc/2020-05-31/";

/// What stands before every document.
pub(super) const PROLOGUE: &str = "<?xml version=\"1.0\"?>\n";

/// A part of a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listed<'a, T> {
    /// What was asked for.
    pub(super) marker: String,
    /// Where the list goes on.
    pub(super) next: Option<String>,
    /// How many were asked for.
    pub(super) most: usize,
    pub(super) items: Vec<&'a T>,
}

impl<T> Listed<'_, T> {
    fn write(&self, name: &str, write: impl Fn(&mut String, &T)) -> String {
        let mut xml = format!(
            "{PROLOGUE}<{name} xmlns=\"{NAMESPACE}\"><Marker>{}</Marker>",
            escape(&self.marker)
        );
        if let Some(next) = &self.next {
            let _ = write!(xml, "<NextMarker>{}</NextMarker>", escape(next));
        }
        let _ = write!(
            xml,
            "<MaxItems>{}</MaxItems><IsTruncated>{}</IsTruncated><Quantity>{}</Quantity>",
            self.most,
            self.next.is_some(),
            self.items.len()
        );
        if !self.items.is_empty() {
            xml.push_str("<Items>");
            for item in &self.items {
                write(&mut xml, item);
            }
            xml.push_str("</Items>");
        }
        let _ = write!(xml, "</{name}>");
        xml
    }
}

/// An invalidation.
pub(super) fn invalidation(invalidation: &Invalidation) -> String {
    let items = invalidation.items.iter().map(String::as_str);
    format!(
        "{PROLOGUE}<Invalidation xmlns=\"{NAMESPACE}\"><Id>{}</Id><Status>{}</Status><CreateTime>{:.3}</CreateTime>\
         <InvalidationBatch><Paths>{}</Paths><CallerReference>{}</CallerReference></InvalidationBatch></Invalidation>",
        escape(&invalidation.id),
        invalidation.status.as_str(),
        invalidation.created,
        quantity(items, "Path"),
        escape(&invalidation.reference),
    )
}

/// Some invalidations of a distribution.
pub(super) fn invalidations(listed: &Listed<'_, Invalidation>) -> String {
    listed.write("InvalidationList", |xml, one| {
        let _ = write!(
            xml,
            "<InvalidationSummary><Id>{}</Id><CreateTime>{:.3}</CreateTime><Status>{}</Status></InvalidationSummary>",
            escape(&one.id),
            one.created,
            one.status.as_str()
        );
    })
}

/// Some distributions.
pub(super) fn distributions(listed: &Listed<'_, Known>) -> String {
    listed.write("DistributionList", |xml, known| {
        xml.push_str(&known.distribution.summary());
    })
}

/// A list within a document: how many, and which. Where there are none, `Items` is not there at all.
pub(super) fn quantity<'a>(items: impl Iterator<Item = &'a str>, name: &str) -> String {
    let (mut count, mut list) = (0_usize, String::new());
    for item in items {
        count += 1;
        let _ = write!(list, "<{name}>{}</{name}>", escape(item));
    }
    if count > 0 {
        list = format!("<Items>{list}</Items>");
    }
    format!("<Quantity>{count}</Quantity>{list}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_none_has_no_items() {
        assert_eq!(
            quantity(std::iter::empty(), "CNAME"),
            "<Quantity>0</Quantity>"
        );
        let two = quantity(["a&b", "c"].into_iter(), "Path");
        assert_eq!(
            two,
            "<Quantity>2</Quantity><Items><Path>a&amp;b</Path><Path>c</Path></Items>"
        );
        let listed: Listed<'_, Invalidation> = Listed {
            marker: String::new(),
            next: None,
            most: 100,
            items: Vec::new(),
        };
        assert!(invalidations(&listed).ends_with(
            "<MaxItems>100</MaxItems><IsTruncated>false</IsTruncated><Quantity>0</Quantity></InvalidationList>"
        ));
    }
}
