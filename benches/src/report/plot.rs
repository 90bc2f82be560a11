//! Plots as SVG, drawn by `plotters`: lines over plain or logarithmic axes.

use std::ops::Range;

use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

/// Points with a name.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

/// A plot before its lines.
#[derive(Clone, Debug)]
pub(super) struct Plot {
    title: String,
    x_name: String,
    y_name: String,
    log_x: bool,
    log_y: bool,
    marks: Vec<f64>,
}

const SIZE: (u32, u32) = (960, 360);
const COLOURS: &[RGBColor] = &[
    RGBColor(31, 119, 180),
    RGBColor(255, 127, 14),
    RGBColor(44, 160, 44),
    RGBColor(214, 39, 40),
    RGBColor(148, 103, 189),
    RGBColor(140, 86, 75),
    RGBColor(227, 119, 194),
    RGBColor(127, 127, 127),
];

impl Plot {
    pub(super) fn new(title: &str, x_name: &str, y_name: &str) -> Self {
        let (title, x_name, y_name) = (title.to_owned(), x_name.to_owned(), y_name.to_owned());
        Self { title, x_name, y_name, log_x: false, log_y: false, marks: Vec::new() }
    }

    pub(super) fn log_x(self) -> Self {
        Self { log_x: true, ..self }
    }

    pub(super) fn log_y(self) -> Self {
        Self { log_y: true, ..self }
    }

    /// Vertical lines.
    pub(super) fn marked(self, marks: &[f64]) -> Self {
        Self { marks: marks.to_vec(), ..self }
    }

    /// The SVG.
    pub(super) fn lines(&self, lines: &[Line]) -> String {
        let points = || lines.iter().flat_map(|line| line.points.iter().copied());
        let x = bounds(points().map(|point| point.0), self.log_x);
        let y = bounds(points().map(|point| point.1), self.log_y);
        // Less than a decade has hardly a label on a logarithmic axis.
        let is_wide = |range: &Range<f64>| range.end > 10.0 * range.start;
        let mut svg = String::new();
        let drawn = match (self.log_x && is_wide(&x), self.log_y && is_wide(&y)) {
            (false, false) => self.draw(&mut svg, x, y, lines),
            (true, false) => self.draw(&mut svg, x.log_scale(), y, lines),
            (false, true) => self.draw(&mut svg, x, y.log_scale(), lines),
            (true, true) => self.draw(&mut svg, x.log_scale(), y.log_scale(), lines),
        };
        // Drawing into a string has nothing to fail at but the ranges, which are checked above.
        drawn.map_or_else(|error| format!("<p>{}: {error}</p>", self.title), |()| svg)
    }

    fn draw<X, Y>(&self, svg: &mut String, x: X, y: Y, lines: &[Line]) -> Result<(), String>
    where
        X: AsRangedCoord<Value = f64>,
        Y: AsRangedCoord<Value = f64>,
        X::CoordDescType: ValueFormatter<f64>,
        Y::CoordDescType: ValueFormatter<f64> + Ranged<ValueType = f64>,
    {
        let failed = |error: DrawingAreaErrorKind<_>| error.to_string();
        let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        area.fill(&WHITE).map_err(failed)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(&self.title, ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(72)
            .build_cartesian_2d(x, y)
            .map_err(failed)?;
        let mut mesh = chart.configure_mesh();
        mesh.x_desc(&self.x_name).y_desc(&self.y_name).light_line_style(WHITE).draw().map_err(failed)?;
        let y_range = chart.y_range();
        for mark in &self.marks {
            let ends = [(*mark, y_range.start), (*mark, y_range.end)];
            chart.draw_series(LineSeries::new(ends, RED.mix(0.6).stroke_width(2))).map_err(failed)?;
        }
        for (position, line) in lines.iter().enumerate() {
            let colour = COLOURS[position % COLOURS.len()];
            let series = LineSeries::new(line.points.iter().copied(), colour.stroke_width(2));
            let drawn = chart.draw_series(series.point_size(3)).map_err(failed)?;
            if !line.name.is_empty() {
                drawn.label(&line.name).legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour));
            }
        }
        if lines.iter().any(|line| !line.name.is_empty()) {
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperLeft)
                .background_style(WHITE.mix(0.8))
                .draw()
                .map_err(failed)?;
        }
        area.present().map_err(failed)
    }
}

/// From the least to the most, never empty; a logarithm has no place for zero.
fn bounds(values: impl Iterator<Item = f64>, is_log: bool) -> Range<f64> {
    let kept = values.filter(|value| value.is_finite() && (!is_log || *value > 0.0));
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in kept {
        low = low.min(value);
        high = high.max(value);
    }
    match (low <= high, is_log) {
        (false, _) => 1.0..10.0,
        (true, true) => low / 1.2..high * 1.2,
        (true, false) => low.min(0.0)..if high > low.min(0.0) { high * 1.05 } else { 1.0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_is_an_svg_with_its_lines_names() {
        let line = Line { name: "p99".into(), points: vec![(1.0, 2.0), (10.0, 30.0)] };
        let svg = Plot::new("Latency", "rate", "ms").log_x().log_y().lines(&[line]);
        assert!(svg.starts_with("<svg") && svg.contains("p99") && svg.contains("Latency"), "{svg}");
    }

    #[test]
    fn nothing_to_draw_is_an_empty_plot() {
        let svg = Plot::new("Latency", "rate", "ms").lines(&[]);
        assert!(svg.starts_with("<svg"), "{svg}");
    }

    #[test]
    fn bounds_hold_all_values_and_are_never_empty() {
        assert_eq!(bounds([5.0].into_iter(), false), 0.0..5.25);
        assert_eq!(bounds([0.0].into_iter(), false), 0.0..1.0);
        assert_eq!(bounds([0.0].into_iter(), true), 1.0..10.0);
    }
}
