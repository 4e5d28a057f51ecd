//! The loss and scores of a training run over its steps, as a table and as a picture.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// One step of a run. Its numbers are the same after they were written as JSON and read again.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The step, from 1.
    pub step: usize,
    /// The learning rate it was taken with.
    pub learning_rate: f32,
    /// The loss before it.
    pub loss: f32,
    /// The score on the development set after it, where it was evaluated.
    pub dev_score: Option<f64>,
}

/// A table with a header line.
pub fn csv(points: &[Point]) -> String {
    let mut table = String::from("step,learning_rate,loss,dev_score\n");
    for point in points {
        let score = point.dev_score.map(|score| score.to_string()).unwrap_or_default();
        writeln!(table, "{},{:e},{},{score}", point.step, point.learning_rate, point.loss)
            .expect("a string takes what is written to it");
    }
    table
}

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 56.0;
const TOP: f64 = 32.0;
const BOTTOM: f64 = 44.0;

/// A picture: the loss of each step in the background, its running mean, and the scores on the development set.
pub fn svg(points: &[Point]) -> String {
    let mut picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let last = points.last().map_or(1, |point| point.step).max(1) as f64;
    let x = |step: usize| LEFT + (WIDTH - LEFT - RIGHT) * step as f64 / last;
    let highest = points.iter().map(|point| f64::from(point.loss)).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let y =
        |value: f64, most: f64| HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value / most).clamp(0.0, 1.0);
    let mut line = |style: &str, places: &[(f64, f64)]| {
        let places: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        writeln!(picture, "<polyline fill=\"none\" {style} points=\"{}\"/>", places.join(" "))
            .expect("a string takes what is written to it");
    };
    let losses = |values: &[f64]| -> Vec<(f64, f64)> {
        points.iter().zip(values).map(|(point, value)| (x(point.step), y(*value, highest))).collect()
    };
    let raw: Vec<f64> = points.iter().map(|point| f64::from(point.loss)).collect();
    line("stroke=\"#c8d4e3\"", &losses(&raw));
    line("stroke=\"#2b5c9e\" stroke-width=\"2\"", &losses(&running_mean(&raw)));
    let scores: Vec<(f64, f64)> =
        points.iter().filter_map(|point| Some((x(point.step), y(point.dev_score?, 1.0)))).collect();
    line("stroke=\"#b5532a\" stroke-width=\"2\"", &scores);
    for (x, y) in &scores {
        writeln!(picture, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"#b5532a\"/>")
            .expect("a string takes what is written to it");
    }
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let frame = format!("M{LEFT},{TOP} V{bottom} H{right} V{TOP}");
    writeln!(picture, "<path d=\"{frame}\" fill=\"none\" stroke=\"#444\"/>")
        .expect("a string takes what is written to it");
    let mut text = |x: f64, y: f64, anchor: &str, color: &str, text: &str| {
        writeln!(
            picture,
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" fill=\"{color}\">{text}</text>"
        )
        .expect("a string takes what is written to it");
    };
    text(LEFT - 6.0, TOP + 4.0, "end", "#2b5c9e", &format!("{highest:.3}"));
    text(LEFT - 6.0, bottom, "end", "#2b5c9e", "0");
    text(LEFT, TOP - 12.0, "start", "#2b5c9e", "loss, and its running mean");
    text(right + 6.0, TOP + 4.0, "start", "#b5532a", "1");
    text(right + 6.0, bottom, "start", "#b5532a", "0");
    text(right, TOP - 12.0, "end", "#b5532a", "score on the development set");
    text(LEFT, bottom + 18.0, "middle", "#444", "0");
    text(right, bottom + 18.0, "middle", "#444", &format!("{last}"));
    text((LEFT + right) / 2.0, bottom + 34.0, "middle", "#444", "step");
    picture.push_str("</svg>\n");
    picture
}

/// An exponential moving average of the values.
fn running_mean(values: &[f64]) -> Vec<f64> {
    const KEPT: f64 = 0.95;
    let (mut sum, mut weight) = (0.0, 0.0);
    values
        .iter()
        .map(|value| {
            sum = KEPT * sum + value;
            weight = KEPT * weight + 1.0;
            sum / weight
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points() -> Vec<Point> {
        let point = |step, loss, dev_score| Point { step, learning_rate: 2e-5, loss, dev_score };
        vec![point(1, 0.5, None), point(2, 0.25, Some(0.8))]
    }

    #[test]
    fn the_table_has_a_row_a_step() {
        assert_eq!(csv(&points()), "step,learning_rate,loss,dev_score\n1,2e-5,0.5,\n2,2e-5,0.25,0.8\n");
    }

    #[test]
    fn the_picture_has_a_line_for_the_loss_and_a_dot_a_score() {
        let picture = svg(&points());
        assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
        assert_eq!(picture.matches("<circle").count(), 1);
        assert_eq!(picture.matches("<polyline").count(), 3);
        assert!(svg(&[]).ends_with("</svg>\n"));
    }

    #[test]
    fn a_running_mean_of_a_constant_is_the_constant() {
        for value in running_mean(&[3.0; 40]) {
            assert!((value - 3.0).abs() < 1e-12);
        }
    }
}
