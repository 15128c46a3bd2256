//! SVG → pixels.

use std::sync::{Arc, LazyLock};

use png::{BitDepth, ColorType, Compression, Encoder, Filter};
use resvg::tiny_skia::{Color, Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

use super::DrawError;
use super::svg::FAMILY;
use super::text::{REGULAR, SEMI_BOLD};

/// How many pixels a picture is wide: twice what a chart is drawn for.
const WIDTH: u16 = 1600;

/// What is higher is no picture, and may not even fit into memory.
const TALLEST: u16 = 4 * WIDTH;

static FONTS: LazyLock<Arc<fontdb::Database>> = LazyLock::new(|| {
    let mut fonts = fontdb::Database::new();
    for font in [REGULAR, SEMI_BOLD] {
        fonts.load_font_source(fontdb::Source::Binary(Arc::new(font)));
    }
    Arc::new(fonts)
});

/// `svg`, with its text laid out.
pub(super) fn tree(svg: &str) -> Result<Tree, DrawError> {
    let options = Options {
        font_family: FAMILY.to_owned(),
        fontdb: FONTS.clone(),
        ..Options::default()
    };
    Ok(Tree::from_str(svg, &options)?)
}

/// `svg`, 1600 pixels wide and on white, as a PNG file.
pub fn png(svg: &str) -> Result<Vec<u8>, DrawError> {
    let tree = tree(svg)?;
    let size = tree.size().to_int_size().scale_to_width(WIDTH.into());
    let size = size.filter(|size| size.height() <= u32::from(TALLEST));
    let size = size.ok_or(DrawError::Size)?;
    let mut pixels = Pixmap::new(size.width(), size.height()).ok_or(DrawError::Size)?;
    pixels.fill(Color::WHITE);
    let scale = f32::from(WIDTH) / tree.size().width();
    resvg::render(
        &tree,
        Transform::from_scale(scale, scale),
        &mut pixels.as_mut(),
    );

    // Nothing shines through: without that channel it is a quarter smaller to begin with.
    let opaque = pixels
        .data()
        .chunks_exact(4)
        .flat_map(|pixel| pixel.iter().take(3));
    let opaque: Vec<u8> = opaque.copied().collect();
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, size.width(), size.height());
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Balanced);
    encoder.set_filter(Filter::NoFilter);
    encoder.write_header()?.write_image_data(&opaque)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::super::chart::tests::{chart_of, waves};
    use super::*;

    #[test]
    fn a_picture_is_as_wide_as_promised_and_small() {
        let picture = png(&chart_of(&waves(250, 53.9))).unwrap();
        assert!(picture.starts_with(b"\x89PNG\r\n\x1a\n"));
        let size = |at: usize| u32::from_be_bytes(picture[at..at + 4].try_into().unwrap());
        assert_eq!((size(16), size(20)), (1600, 1040));
        assert!(
            (20_000..200_000).contains(&picture.len()),
            "{}",
            picture.len()
        );
    }

    #[test]
    fn what_is_no_drawing_is_an_error() {
        assert!(matches!(png("<p>"), Err(DrawError::Svg(_))));
        let endless = r#"<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1e9"/>"#;
        assert!(matches!(png(endless), Err(DrawError::Size)));
    }
}
