//! SVG → a document of one page, as vectors. Only what [`super::svg`] writes is understood: paths and text in one
//! colour, in groups that are moved and scaled.

use krilla::Document;
use krilla::color::rgb;
use krilla::geom::{Path, PathBuilder, Point, Transform};
use krilla::metadata::Metadata;
use krilla::num::NormalizedF32;
use krilla::page::PageSettings;
use krilla::paint::{Fill, Stroke, StrokeDash};
use krilla::surface::Surface;
use krilla::text::{Font, GlyphId, KrillaGlyph};
use resvg::tiny_skia::PathSegment;
use resvg::usvg::{self, Group, Node, Opacity, Paint, Tree};

use super::DrawError;
use super::text::{Glyph, REGULAR, SEMI_BOLD, Weight, glyphs, is_marks};

struct Fonts {
    regular: Font,
    semi_bold: Font,
}

/// `tree` as the only page. The same tree makes the same bytes: no time is written, only what `metadata` says.
pub(super) fn document(tree: &Tree, metadata: Metadata) -> Result<Vec<u8>, DrawError> {
    let font = |data: &'static [u8]| Font::new(data.into(), 0).ok_or(DrawError::Font);
    let fonts = Fonts {
        regular: font(REGULAR)?,
        semi_bold: font(SEMI_BOLD)?,
    };
    let mut document = Document::new();
    document.set_metadata(metadata);
    let size = tree.size();
    let settings = PageSettings::from_wh(size.width(), size.height()).ok_or(DrawError::Size)?;
    let mut page = document.start_page_with(settings);
    let mut surface = page.surface();
    group(&mut surface, tree.root(), &fonts);
    surface.finish();
    page.finish();
    let written = document.finish();
    written.map_err(|error| DrawError::Pdf(format!("{error:?}")))
}

fn group(surface: &mut Surface<'_>, group_: &Group, fonts: &Fonts) {
    let moved = group_.transform();
    let (scale, skew) = ((moved.sx, moved.sy), (moved.kx, moved.ky));
    surface.push_transform(&Transform::from_row(
        scale.0, skew.1, skew.0, scale.1, moved.tx, moved.ty,
    ));
    for node in group_.children() {
        match node {
            Node::Group(inner) => group(surface, inner, fonts),
            Node::Path(path) => draw(surface, path),
            Node::Text(text) => words(surface, text, fonts),
            Node::Image(_) => {}
        }
    }
    surface.pop();
}

fn draw(surface: &mut Surface<'_>, path: &usvg::Path) {
    let fill = path.fill().and_then(|it| fill(it.paint(), it.opacity()));
    let line = path.stroke().and_then(stroke);
    let outline = outline(path).filter(|_| fill.is_some() || line.is_some());
    if let Some(outline) = outline {
        surface.set_fill(fill);
        surface.set_stroke(line);
        surface.draw_path(&outline);
    }
}

/// Text is set here, and not taken from usvg: as a whole, each character with its own glyphs, it can be copied as it
/// was written.
fn words(surface: &mut Surface<'_>, text: &usvg::Text, fonts: &Fonts) {
    let mut y = 0.0;
    for chunk in text.chunks() {
        y = chunk.y().unwrap_or(y);
        let Some(span) = chunk.spans().first() else {
            continue;
        };
        let (weight, font) = match span.font().weight() {
            ..500 => (Weight::Regular, &fonts.regular),
            500.. => (Weight::SemiBold, &fonts.semi_bold),
        };
        let start = Point::from_xy(chunk.x().unwrap_or_default(), y);
        let (words, size) = (chunk.text(), span.font_size().get());
        let mut glyphs = glyphs(words, weight);
        // A glyph means what it was first drawn for. It is first drawn where nobody sees it, and alone, so that no
        // letter is ever taken for itself with a mark.
        let mut unseen = surface.stream_builder();
        let rehearsed = placed(&glyphs, font);
        let mut rehearsal = unseen.surface();
        rehearsal.draw_glyphs(start, &rehearsed, font.clone(), words, size, false);
        rehearsal.finish();

        keep_together(&mut glyphs, words);
        surface.set_fill(span.fill().and_then(|it| fill(it.paint(), it.opacity())));
        surface.set_stroke(None);
        let placed = placed(&glyphs, font);
        surface.draw_glyphs(start, &placed, font.clone(), words, size, false);
    }
}

fn placed(glyphs: &[Glyph], font: &Font) -> Vec<KrillaGlyph> {
    let ems = |units: i16| f32::from(units) / font.units_per_em();
    let glyphs = glyphs.iter().map(|glyph| KrillaGlyph {
        glyph_id: GlyphId::new(glyph.id.into()),
        text_range: glyph.range.clone(),
        x_advance: ems(glyph.advance),
        x_offset: ems(glyph.offset.0),
        y_offset: ems(glyph.offset.1),
        y_advance: 0.0,
        location: None,
    });
    glyphs.collect()
}

/// Marks take no room: a program that reads the text and goes by where things are puts them after the next letter, or
/// takes the second one for a shadow of the first. What they mean is said for a letter and all of its marks at once.
fn keep_together(glyphs: &mut [Glyph], text: &str) {
    let is_mark = |glyph: &Glyph| text.get(glyph.range.clone()).is_some_and(is_marks);
    for letter in glyphs.chunk_by_mut(|_, next| is_mark(next)) {
        let (first, last) = (letter.first(), letter.last());
        let range = first
            .zip(last)
            .map(|(first, last)| first.range.start..last.range.end);
        if letter.len() > 1 {
            for glyph in letter {
                glyph.range = range.clone().unwrap_or_default();
            }
        }
    }
}

fn fill(paint: &Paint, opacity: Opacity) -> Option<Fill> {
    let Paint::Color(colour) = paint else {
        return None;
    };
    Some(Fill {
        paint: rgb::Color::new(colour.red, colour.green, colour.blue).into(),
        opacity: NormalizedF32::new(opacity.get())?,
        ..Fill::default()
    })
}

fn stroke(stroke: &usvg::Stroke) -> Option<Stroke> {
    let Fill { paint, opacity, .. } = fill(stroke.paint(), stroke.opacity())?;
    let dash = stroke.dasharray().map(|array| StrokeDash {
        array: array.to_vec(),
        offset: stroke.dashoffset(),
    });
    Some(Stroke {
        paint,
        opacity,
        width: stroke.width().get(),
        dash,
        ..Stroke::default()
    })
}

fn outline(path: &usvg::Path) -> Option<Path> {
    let mut outline = PathBuilder::new();
    for segment in path.data().segments() {
        match segment {
            PathSegment::MoveTo(to) => outline.move_to(to.x, to.y),
            PathSegment::LineTo(to) => outline.line_to(to.x, to.y),
            PathSegment::QuadTo(by, to) => outline.quad_to(by.x, by.y, to.x, to.y),
            PathSegment::CubicTo(one, two, to) => {
                outline.cubic_to(one.x, one.y, two.x, two.y, to.x, to.y);
            }
            PathSegment::Close => outline.close(),
        }
    }
    outline.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_and_its_marks_are_read_together() {
        let text = "ที่น้ำตก a";
        let mut glyphs = glyphs(text, Weight::Regular);
        keep_together(&mut glyphs, text);
        let mut parts: Vec<_> = glyphs
            .iter()
            .map(|glyph| &text[glyph.range.clone()])
            .collect();
        parts.dedup();
        assert_eq!(parts, ["ที่", "น้ำ", "ต", "ก", " ", "a"]);
    }
}
