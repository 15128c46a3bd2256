use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<String, Reason> {
    let item = Item::parse(text).map_err(|rejected| rejected.reason)?;
    Ok(item.to_string())
}

#[test]
fn what_has_to_be_encoded_is_and_nothing_else() {
    for (text, item) in [
        ("/", "/"),
        ("/*", "/*"),
        ("/images/image*", "/images/image*"),
        ("/a b~c'd", "/a%20b%7Ec%27d"),
        ("/ä", "/%C3%A4"),
        ("/%c3%a4", "/%C3%A4"),
        ("/%41", "/A"),
        ("/a%20b", "/a%20b"),
        ("/100%25", "/100%25"),
        ("/a+b=c&d;e:f@g!h$i(j)k,l", "/a+b=c&d;e:f@g!h$i(j)k,l"),
        ("/a?b=c d", "/a?b=c%20d"),
        ("/a%3Fb", "/a%3Fb"),
        ("/a%2bb", "/a%2Bb"),
        ("/a%41?b=%26%2f%41%c3&c=ä", "/aA?b=%26%2f%41%c3&c=%C3%A4"),
        ("#Release-1", "#release-1"),
    ] {
        assert_eq!(parse(text).as_deref(), Ok(item), "{text}");
    }
}

#[test]
fn several_paths_are_several_items() {
    for text in [
        "/a,/b",
        "/a, /b",
        "/a /b",
        "/binaries/x-latest,/binaries/metadata.json",
    ] {
        assert_eq!(parse(text), Err(Reason::Several), "{text}");
    }
}

#[test]
fn what_would_clear_nothing_is_refused_with_its_reason() {
    let long = format!("/{}", "x".repeat(MAX_PATH));
    let tag = format!("#{}", "x".repeat(MAX_TAG + 1));
    for (text, reason) in [
        ("", Reason::NoSlash),
        ("a/b", Reason::NoSlash),
        ("https://example.com/a", Reason::NoSlash),
        ("/images/*.png", Reason::InnerStar),
        ("/a**", Reason::InnerStar),
        ("/a%2A", Reason::LiteralStar),
        ("/a%2fb", Reason::EncodedSlash),
        ("/a#b", Reason::Fragment),
        ("/100%", Reason::BadEscape),
        ("/a%zz", Reason::BadEscape),
        ("/a\nb", Reason::Control),
        ("#", Reason::NoTag),
        ("#a b", Reason::NoTag),
        ("#a,b", Reason::NoTag),
        ("#a*", Reason::NoTag),
        (&tag, Reason::NoTag),
        (&long, Reason::TooLong),
    ] {
        assert_eq!(parse(text), Err(reason), "{text}");
    }
    let told = Item::parse("/images/*.png").unwrap_err().to_string();
    assert!(
        told.starts_with("\"/images/*.png\" has `*` before its end"),
        "{told}"
    );
}

#[test]
fn a_key_is_taken_as_it_is() {
    let of = |key: &str| Item::of_key(key).map(|item| item.to_string());
    assert_eq!(
        of("a b/ü#1?.txt").as_deref(),
        Ok("/a%20b/%C3%BC%231%3F.txt")
    );
    assert_eq!(of("100%25,/x").as_deref(), Ok("/100%2525,/x"));
    assert_eq!(of("a+b").as_deref(), Ok("/a%2Bb"), "as S3 reads it");
    assert_eq!(of("a*").unwrap_err().reason, Reason::LiteralStar);
}

fn texts(items: &[Item]) -> Vec<&str> {
    items.iter().map(Item::as_str).collect()
}

#[test]
fn an_object_is_cleared_in_every_spelling_of_its_path() {
    for (key, items) in [
        ("a.yaml", &["/a.yaml"][..]),
        ("a+b.yaml", &["/a%2Bb.yaml", "/a+b.yaml"]),
        ("a b.yaml", &["/a%20b.yaml", "/a+b.yaml"]),
        ("a+b c", &["/a%2Bb%20c", "/a%2Bb+c", "/a+b%20c", "/a+b+c"]),
        ("a*b.yaml", &["/a*"]),
        ("a/b*c*", &["/a/b*"]),
        ("*", &["/*"]),
        ("a+*", &["/a%2B*", "/a+*"]),
        ("%2A?", &["/%252A%3F"]),
    ] {
        assert_eq!(texts(&Item::clearing(key).unwrap()), items, "{key}");
    }
    let long = Item::clearing(&"ü".repeat(MAX_PATH / 6 + 1));
    assert_eq!(long.unwrap_err().reason, Reason::TooLong);
}

#[test]
fn a_plus_sign_of_a_path_is_cleared_encoded_and_as_it_is() {
    for (path, items) in [
        ("/a", &["/a"][..]),
        ("/a+b", &["/a+b", "/a%2Bb"]),
        ("/a%2Bb", &["/a%2Bb", "/a+b"]),
        ("/a+b%2Bc/*", &["/a+b%2Bc/*", "/a%2Bb%2Bc/*", "/a+b+c/*"]),
        ("/a+?b+c%2B", &["/a+?b+c%2B", "/a%2B?b+c%2B"]),
        ("#a+b", &["#a+b"]),
    ] {
        let spellings = Item::parse(path).unwrap().spellings();
        assert_eq!(texts(&spellings), items, "{path}");
    }
}

#[test]
fn a_wildcard_covers_all_that_begins_so() {
    let item = |text: &str| Item::parse(text).unwrap();
    for (wide, narrow, covers) in [
        ("/a*", "/a", true),
        ("/a*", "/ab/c", true),
        ("/a*", "/ab*", true),
        ("/ab*", "/a*", false),
        ("/a", "/a", true),
        ("/a", "/ab", false),
        ("/*", "#tag", true),
        ("/a*", "#tag", false),
    ] {
        assert_eq!(item(wide).covers(&item(narrow)), covers, "{wide} {narrow}");
    }
}

proptest! {
    #[test]
    fn what_clears_an_object_covers_the_path_that_serves_it(key in "[a-c+ *%?é]{1,12}") {
        let items = Item::clearing(&key).unwrap();
        let begin = key.split('*').next().unwrap_or_default();
        let served = Item::of_key(begin).unwrap();
        prop_assert!(items.iter().any(|item| item.covers(&served)), "{:?}", items);
        for item in &items {
            prop_assert!(item.spellings().iter().all(|other| items.contains(other) || key.contains(' ')));
        }
    }

    #[test]
    fn what_was_spelled_once_stays(text in "\\PC{0,40}") {
        let items = [Item::parse(&text), Item::parse(&format!("/{text}")), Item::of_key(&text)];
        for item in items.into_iter().flatten().filter(|item| !item.as_str().contains(",/")) {
            let again = Item::parse(item.as_str());
            prop_assert_eq!(again.as_ref(), Ok(&item), "{}", text);
        }
    }
}
