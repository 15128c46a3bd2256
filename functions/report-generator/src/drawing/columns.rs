//! Sections of text → two columns of the same height, in the largest type that fits.

use super::lines::Paragraph;
use super::text::{Style, Weight, drawable};

/// From the type people like to read to the smallest they can.
const SIZES: [f64; 13] = [
    9.5, 9.25, 9.0, 8.75, 8.5, 8.25, 8.0, 7.75, 7.5, 7.25, 7.0, 6.75, 6.5,
];

/// What a page could hold at most, several times over: what comes after is not even looked at.
const MOST_SECTIONS: usize = 16;
const MOST_CHARACTERS: usize = 12_000;
const MOST_OF_A_HEADING: usize = 200;

const BULLETS: [&str; 2] = ["• ", "- "];

/// A heading and what stands below it, ready to be broken for any size.
pub(super) struct Section {
    heading: Paragraph,
    body: Vec<(bool, Paragraph)>,
}

/// The room for both columns, and how far lines are apart, in sizes of the type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) leading: f64,
}

/// One line of a column.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) heading: bool,
    pub(super) bullet: bool,
    pub(super) indent: f64,
    /// The space before it, unless it begins a column.
    pub(super) above: f64,
    pub(super) height: f64,
    /// No column ends after it.
    keep: bool,
}

/// What goes where.
pub(super) struct Columns {
    pub(super) size: f64,
    pub(super) lines: [Vec<Line>; 2],
}

/// Measures `sections`, headings and bodies, or as much of them as a page could ever hold.
pub(super) fn measured(sections: &[(String, String)]) -> Vec<Section> {
    let mut left = MOST_CHARACTERS;
    let mut section = |(heading, body): &(String, String)| {
        let heading = drawable(heading, MOST_OF_A_HEADING).replace('\n', " ");
        let body = drawable(body, left);
        left = left.saturating_sub(heading.chars().count() + body.chars().count());
        let paragraphs = body.lines().map(|text| {
            let bare = BULLETS.iter().find_map(|bullet| text.strip_prefix(bullet));
            let text = bare.unwrap_or(text);
            (bare.is_some(), Paragraph::new(text, Weight::Regular))
        });
        Section {
            heading: Paragraph::new(&heading, Weight::SemiBold),
            body: paragraphs.collect(),
        }
    };
    let some = sections.iter().take(MOST_SECTIONS);
    some.map(&mut section).collect()
}

/// The largest type in which all of `sections` fits into `room`; of what does not fit in the smallest, the beginning.
pub(super) fn fit(sections: &[Section], room: Room) -> Columns {
    for size in SIZES {
        let lines = set(sections, size, room);
        if let Some(lines) = balance(&lines, room.height) {
            return Columns { size, lines };
        }
    }
    let size = SIZES.last().copied().unwrap_or(6.5);
    let lines = cut(set(sections, size, room), size, room);
    Columns { size, lines }
}

/// How headings look, in a text of `size`.
pub(super) fn heading_style(size: f64, colour: &'static str) -> Style {
    Style::semi_bold(size + 0.75, colour)
}

fn set(sections: &[Section], size: f64, room: Room) -> Vec<Line> {
    let leading = size * room.leading;
    let mut lines = Vec::new();
    for Section { heading, body } in sections {
        let style = heading_style(size, "");
        let line = Line {
            text: String::new(),
            heading: true,
            bullet: false,
            indent: 0.0,
            above: leading * 0.6,
            height: leading * style.size / size,
            keep: true,
        };
        let broken = heading.lines(room.width / style.size);
        push(&mut lines, &broken, &line);
        for (bullet, paragraph) in body {
            let indent = if *bullet { size * 0.95 } else { 0.0 };
            let line = Line {
                heading: false,
                bullet: *bullet,
                indent,
                above: leading * 0.18,
                height: leading,
                keep: false,
                ..line.clone()
            };
            let broken = paragraph.lines((room.width - indent) / size);
            push(&mut lines, &broken, &line);
        }
    }
    lines
}

/// Adds `texts` as lines like `line`. No paragraph leaves a single line behind in a column, or sends one on.
fn push(lines: &mut Vec<Line>, texts: &[&str], line: &Line) {
    let count = texts.len();
    let texts = texts
        .iter()
        .enumerate()
        .filter(|(_, text)| !text.is_empty());
    lines.extend(texts.map(|(nth, text)| Line {
        text: (*text).to_owned(),
        bullet: line.bullet && nth == 0,
        above: if nth == 0 { line.above } else { 0.0 },
        keep: line.keep || (count > 1 && (nth == 0 || nth + 2 == count)),
        ..line.clone()
    }));
}

fn height(lines: &[Line]) -> f64 {
    let above = lines.first().map_or(0.0, |first| first.above);
    let heights = lines.iter().map(|line| line.above + line.height);
    heights.sum::<f64>() - above
}

/// The two columns of `lines` that are least high; `None` if they are higher than `most`.
fn balance(lines: &[Line], most: f64) -> Option<[Vec<Line>; 2]> {
    // Two columns hold no more than this, wherever the first one ends.
    if height(lines) > 2.0 * most + lines.first().map_or(0.0, |line| line.height) {
        return None;
    }
    let mut best: Option<(f64, usize)> = None;
    for at in 1..=lines.len() {
        let (left, right) = lines.split_at(at);
        if left.last().is_some_and(|line| line.keep) && !right.is_empty() {
            continue;
        }
        let highest = height(left).max(height(right));
        // A section that stays whole is worth a line that is not.
        let broken = right.first().is_some_and(|line| !line.heading);
        let cost = if broken { highest + 10.0 } else { highest };
        if highest <= most && best.is_none_or(|(least, _)| cost < least) {
            best = Some((cost, at));
        }
    }
    let (left, right) = lines.split_at(best.map(|(_, at)| at)?);
    Some([left.to_vec(), right.to_vec()])
}

/// As many `lines` as there is room for, the last of them with an ellipsis.
fn cut(mut left: Vec<Line>, size: f64, room: Room) -> [Vec<Line>; 2] {
    let mut count = fitting(&left, room.height);
    // Unless nothing else is there, the first column does not end with a heading either.
    while count > 1 && left.get(count - 1).is_some_and(|line| line.keep) {
        count -= 1;
    }
    let mut right = left.split_off(count);
    right.truncate(fitting(&right, room.height));
    while right.last().is_some_and(|line| line.heading) {
        right.pop();
    }
    if let Some(last) = right.last_mut() {
        let style = Style::regular(size, "");
        let whole = format!("{}…", last.text.trim_end_matches('…'));
        last.text = if style.width(&whole) <= room.width - last.indent {
            whole
        } else {
            style.fitted(&last.text, style.width(&last.text) * 0.999)
        };
    }
    [left, right]
}

/// How many of `lines` are no higher than `most` together.
fn fitting(lines: &[Line], most: f64) -> usize {
    let mut counts = (0..=lines.len()).rev();
    let height_of = |count: &usize| lines.get(..*count).map_or(0.0, height);
    counts
        .find(|count| height_of(count) <= most)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Room = Room {
        width: 250.0,
        height: 200.0,
        leading: 1.5,
    };

    fn columns(count: usize, words: usize) -> Columns {
        let section = ("Heading".to_owned(), "some words ".repeat(words));
        fit(&measured(&vec![section; count]), ROOM)
    }

    #[test]
    fn type_is_as_large_as_fits() {
        let sizes = [5, 40, 60, 80, 400].map(|words| columns(3, words).size);
        assert!(sizes.is_sorted_by(|a, b| a >= b), "{sizes:?}");
        assert!((sizes[0] - 9.5).abs() < 1e-9 && (sizes[4] - 6.5).abs() < 1e-9);
    }

    #[test]
    fn no_column_is_higher_than_its_room_and_none_ends_with_a_heading() {
        for words in (1..120).step_by(7) {
            let columns = columns(4, words);
            for lines in &columns.lines {
                assert!(height(lines) <= ROOM.height);
                assert!(lines.last().is_none_or(|line| !line.heading));
                let style = Style::regular(columns.size, "");
                let body = lines.iter().filter(|line| !line.heading);
                body.for_each(|line| assert!(style.width(&line.text) <= ROOM.width + 0.01));
            }
        }
    }

    #[test]
    fn columns_are_about_equally_high() {
        let [left, right] = columns(4, 30).lines;
        assert!((height(&left) - height(&right)).abs() < 1.0);
    }

    #[test]
    fn items_hang_below_their_first_word() {
        let body = format!("Before.\n• {}\n- dash", "many words ".repeat(20));
        let lines = set(&measured(&[("h".to_owned(), body)]), 9.0, ROOM);
        let bullets = lines.iter().filter(|line| line.bullet).count();
        let indented = lines.iter().filter(|line| line.indent > 0.0).count();
        assert!(bullets == 2 && indented > 3);
    }

    #[test]
    fn what_does_not_fit_ends_with_an_ellipsis() {
        let [_, right] = columns(3, 900).lines;
        assert!(right.last().unwrap().text.ends_with('…'));
    }
}
