//! What stands beside a teacher's weights in the artifact store: all that is needed to build the network
//! that they belong to, as lines that people can read.

use domain::{Architecture, Error, ImageShape, Result};

/// The facts about stored weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Network.
    pub architecture: Architecture,
    /// Images it reads.
    pub shape: ImageShape,
    /// Number of classes.
    pub label_count: usize,
    /// The recipe that it came from, to be compared, not parsed; one line.
    pub recipe: String,
}

impl Stored {
    /// One line a fact.
    pub(crate) fn to_text(&self) -> String {
        let Self { architecture, shape, label_count, recipe } = self;
        let ImageShape { channels, height, width } = shape;
        let architecture = architecture_name(*architecture);
        format!(
            "architecture {architecture}\nshape {channels} {height} {width}\nlabels {label_count}\nrecipe {recipe}\n"
        )
    }

    /// Reads [`Stored::to_text`].
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let line = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        let read = || {
            let architecture = ARCHITECTURES.iter().find(|(name, _)| Some(*name) == line("architecture"))?.1;
            let sides: Vec<usize> = line("shape")?.split(' ').map_while(|side| side.parse().ok()).collect();
            let [channels, height, width] = sides[..] else { return None };
            let shape = ImageShape::new(channels, height, width).ok()?;
            let label_count = line("labels")?.parse().ok()?;
            Some(Self { architecture, shape, label_count, recipe: line("recipe")?.to_owned() })
        };
        read().ok_or_else(|| Error::unexpected("the facts beside stored weights cannot be read"))
    }
}

const ARCHITECTURES: [(&str, Architecture); 2] =
    [("resnet50", Architecture::Resnet50), ("small_cnn", Architecture::SmallCnn)];

fn architecture_name(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::Resnet50 => "resnet50",
        Architecture::SmallCnn => "small_cnn",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_facts_survive_their_text() {
        for (_, architecture) in ARCHITECTURES {
            let recipe = "Recipe { rate: 0.08 }".to_owned();
            let stored = Stored { architecture, shape: ImageShape::gray(28, 28), label_count: 10, recipe };
            assert_eq!(Stored::parse(&stored.to_text()), Ok(stored));
        }
        assert!(Stored::parse("architecture lenet\n").is_err());
    }
}
