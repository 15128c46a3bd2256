//! Paths, keys and tags of anybody: refused, or spelled once and for all; and a plan that clears them all, and nothing else while items
//! are free. Lines with a `+` before them are objects that did not change.
#![no_main]

use cdn::{Item, Kind, Known, Listing, MAX_PATH, Price, Room, plan};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (others, lines): (Vec<_>, Vec<_>) = text.lines().take(400).partition(|line| line.starts_with('+'));
    let mut changed = Vec::new();
    for line in lines {
        let clearing = Item::clearing(line).unwrap_or_default();
        let items = [Item::parse(line), Item::of_key(line)].into_iter().flatten();
        for item in items.flat_map(|item| item.spellings()).chain(clearing) {
            let spelled = item.as_str();
            assert!(spelled.len() <= MAX_PATH && spelled.bytes().all(|byte| byte.is_ascii_graphic()));
            // A comma before a slash is fine in an object's key alone.
            assert!(spelled.contains(",/") || Item::parse(spelled).as_ref() == Ok(&item), "{spelled}");
            changed.push(item);
        }
    }
    let mut listing = Listing::new("/");
    let paths = changed.iter().filter(|item| item.kind() == Kind::Exact);
    let others = others.iter().filter_map(|line| Item::of_key(&line[1..]).ok());
    for item in paths.cloned().chain(others) {
        listing.push(item.as_str()).unwrap();
    }
    listing.sort();
    let Ok(made) = plan(&changed, Known::Listed(&listing), Price::FREE, Room::ALL) else {
        return;
    };
    for item in &changed {
        assert!(made.items.iter().any(|other| other.covers(item)), "{item} of {made:?}");
    }
    assert!(made.items.len() <= changed.len());
    assert_eq!(made.over_invalidated, 0, "{made:?}");
});
