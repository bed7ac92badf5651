//! The text that ties a data set's files together: one word and its value a line.

use domain::{Dataset, Error, ImageShape, ResourceName, Result, Split};

const FIRST_LINE: &str = "deeper dataset 1";

/// A data set as its text says it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Record {
    pub(super) display_name: String,
    pub(super) label_names: Vec<String>,
    /// Known once there is a split.
    pub(super) shape: Option<ImageShape>,
    pub(super) splits: Vec<SplitRecord>,
}

/// One split and the digests of its two files.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SplitRecord {
    pub(super) split: Split,
    pub(super) images_digest: String,
    pub(super) labels_digest: String,
}

impl Record {
    pub(super) fn dataset(&self, name: ResourceName) -> Result<Dataset> {
        let shape = self.shape.ok_or_else(|| Error::unexpected("a data set without splits"))?;
        Ok(Dataset {
            name,
            display_name: self.display_name.clone(),
            shape,
            label_names: self.label_names.clone(),
            splits: self.splits.iter().map(|record| record.split.clone()).collect(),
        })
    }

    pub(super) fn to_text(&self) -> String {
        let mut lines = vec![FIRST_LINE.to_owned(), format!("name {}", self.display_name)];
        if let Some(shape) = self.shape {
            lines.push(format!("shape {} {} {}", shape.channels, shape.height, shape.width));
        }
        lines.extend(self.label_names.iter().map(|label| format!("label {}", one_line(label))));
        for SplitRecord { split, images_digest, labels_digest } in &self.splits {
            lines.push(format!("split {} {} {images_digest} {labels_digest}", split.id, split.example_count));
        }
        lines.join("\n") + "\n"
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next() != Some(FIRST_LINE) {
            return None;
        }
        let mut record = Self { display_name: String::new(), label_names: Vec::new(), shape: None, splits: Vec::new() };
        for line in lines {
            let (word, rest) = line.split_once(' ')?;
            match word {
                "name" => record.display_name = rest.to_owned(),
                "label" => record.label_names.push(rest.to_owned()),
                "shape" => {
                    let sides: Vec<usize> = rest.split(' ').map(|side| side.parse().ok()).collect::<Option<_>>()?;
                    let [channels, height, width] = sides[..] else { return None };
                    record.shape = Some(ImageShape::new(channels, height, width).ok()?);
                }
                "split" => {
                    let parts: Vec<&str> = rest.split(' ').collect();
                    let [id, count, images_digest, labels_digest] = parts[..] else { return None };
                    record.splits.push(SplitRecord {
                        split: Split { id: id.to_owned(), example_count: count.parse().ok()? },
                        images_digest: images_digest.to_owned(),
                        labels_digest: labels_digest.to_owned(),
                    });
                }
                _ => return None,
            }
        }
        record.shape.is_some().then_some(record)
    }
}

/// Names are kept on one line each.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let record = Record {
            display_name: "Two words".to_owned(),
            label_names: vec!["T-shirt top".to_owned(), "1".to_owned()],
            shape: Some(ImageShape::gray(28, 28)),
            splits: vec![SplitRecord {
                split: Split { id: "train".to_owned(), example_count: 60_000 },
                images_digest: "ab".to_owned(),
                labels_digest: "cd".to_owned(),
            }],
        };
        assert_eq!(Record::parse(&record.to_text()), Some(record));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(name|shape|split|label|x)?[ 0-9a-z\n]{0,80}") {
            let _ = Record::parse(&text);
            let _ = Record::parse(&format!("{FIRST_LINE}\n{text}"));
        }
    }
}
