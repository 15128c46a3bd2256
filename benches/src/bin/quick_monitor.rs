//! A monitor that takes no time: it prints a result and how long that took.

use std::{io::Write as _, time::Instant};

fn main() -> std::io::Result<()> {
    let began = Instant::now();
    let mut stdout = std::io::stdout().lock();
    write!(stdout, "{{\"type\":\"result\",\"ok\":true,")?;
    writeln!(stdout, "\"own_us\":{}}}", began.elapsed().as_micros())
}
