//! How tables look.

use comfy_table::{ContentArrangement, Table, presets};

/// A table that fits the terminal; plain where there is none.
pub(super) fn empty_table(coloured: bool) -> Table {
    let mut table = Table::new();
    table.load_style(if coloured {
        presets::UTF8_FULL_CONDENSED
    } else {
        presets::ASCII_MARKDOWN
    });
    table.set_content_arrangement(ContentArrangement::Dynamic);
    if !coloured {
        let width = table.width();
        table.force_no_tty();
        if let Some(width) = width {
            table.set_width(width);
        }
    }
    table
}
