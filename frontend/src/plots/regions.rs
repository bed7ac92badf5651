//! Where on a map its weight lies, in words: the map's twin for those who cannot see it. Pure.

use domain::Heatmap;

/// Thirds of a map, row by row.
const NAMES: [&str; 9] = [
    "upper left",
    "upper middle",
    "upper right",
    "middle left",
    "middle",
    "middle right",
    "lower left",
    "lower middle",
    "lower right",
];

/// `mostly in the upper middle` for the positive or the negative pixels; nothing where there are none.
pub fn where_it_lies(heatmap: &Heatmap, positive: bool) -> Option<String> {
    let shape = heatmap.shape();
    let mut sums = [0.0f64; 9];
    for (i, &value) in heatmap.values().iter().enumerate() {
        let (row, column) = (i / shape.width % shape.height, i % shape.width);
        let signed = if positive { value } else { -value };
        sums[row * 3 / shape.height * 3 + column * 3 / shape.width] += f64::from(signed.max(0.0));
    }
    let largest = domain::label::argmax(sums.into_iter());
    (sums[largest] > 0.0).then(|| format!("mostly in the {}", NAMES[largest]))
}

/// Both ends of a contrast in one sentence.
pub fn describe(heatmap: &Heatmap, towards: &str, against: &str) -> String {
    let part = |name: &str, positive| match where_it_lies(heatmap, positive) {
        Some(place) => format!("{name}: {place}"),
        None => format!("{name}: nowhere"),
    };
    format!("What speaks for {}; for {}.", part(towards, true), part(against, false))
}

#[cfg(test)]
mod tests {
    use domain::ImageShape;

    use super::*;

    #[test]
    fn a_map_is_told_by_where_its_ends_lie() {
        let mut values = vec![0.0; 36];
        values[2] = 1.0;
        values[33] = -2.0;
        let map = Heatmap::new(ImageShape::gray(6, 6), values).unwrap();
        let told = "What speaks for 5: mostly in the upper middle; for 3: mostly in the lower middle.";
        assert_eq!(describe(&map, "5", "3"), told);
    }

    #[test]
    fn a_flat_map_lies_nowhere() {
        let map = Heatmap::new(ImageShape::gray(1, 1), vec![0.0]).unwrap();
        assert_eq!(where_it_lies(&map, true), None);
        assert_eq!(where_it_lies(&map, false), None);
    }
}
