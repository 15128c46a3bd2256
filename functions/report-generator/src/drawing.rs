//! Series, indicators and words → a chart and a page. Pure: no clock, no files, the fonts are part of the program.
//!
//! Everything is drawn as SVG first. A PNG is that SVG as pixels; a PDF is it again as vectors, with text that can be
//! searched and copied. No engine breaks lines or places words here: [`text`] measures, [`lines`] breaks, and what is
//! written says where each piece of it goes.

mod axis;
mod chart;
mod columns;
mod lines;
mod number;
mod page;
mod panels;
mod pdf;
mod picture;
mod svg;
mod text;

pub use chart::chart_svg;
pub use page::{Page, Tile, Tone};
pub use picture::png;

/// Why nothing was drawn. Each of these is a defect of the program: none depends on what it is asked to draw.
#[derive(Debug, thiserror::Error)]
pub enum DrawError {
    /// What was drawn cannot be read again.
    #[error("the drawing is not valid SVG")]
    Svg(#[from] resvg::usvg::Error),
    /// Too small or too large to be a picture.
    #[error("a picture cannot have that size")]
    Size,
    /// No picture file could be written.
    #[error("could not write the PNG")]
    Png(#[from] png::EncodingError),
    /// A bundled font cannot be read.
    #[error("a bundled font is broken")]
    Font,
    /// No document could be written.
    #[error("could not write the PDF: {0}")]
    Pdf(String),
}
