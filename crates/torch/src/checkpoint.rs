//! Named tensors as safetensors bytes and back. A file is data, never a program; it is looked at with
//! suspicion all the same, because people bring their own.

use std::collections::{BTreeMap, HashMap};

use domain::{Error, Result};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use tch::{Device, Kind, Tensor};

use crate::parameters::Parameters;

/// Largest header that is parsed, in bytes.
pub const MAX_HEADER_BYTES: u64 = 1_000_000;
/// Most tensors a file may hold: ResNet-50 with moments needs 643.
pub const MAX_TENSOR_COUNT: usize = 2_000;
/// The one metadata entry of our files. One, because safetensors writes several in random order, and
/// equal checkpoints should be equal bytes.
const METADATA_KEY: &str = "deeper";

/// Weights, buffers, moments, and what is needed to go on from them.
#[derive(Debug, Default)]
pub struct Checkpoint {
    tensors: BTreeMap<String, Tensor>,
    /// Step, seed, configuration ...: keys without `=`, neither with a line break.
    pub metadata: BTreeMap<String, String>,
}

impl Checkpoint {
    /// A copy of all parameters. Later steps of an optimizer do not change it.
    pub fn of(parameters: &Parameters) -> Result<Self> {
        let mut checkpoint = Self::default();
        for (name, tensor) in parameters.iter() {
            let values = contiguous(tensor)?;
            let mut copy = values.f_zeros_like().map_err(Error::unexpected)?;
            copy.f_copy_(&values).map_err(Error::unexpected)?;
            checkpoint.tensors.insert(name.to_owned(), copy);
        }
        Ok(checkpoint)
    }

    /// Adds tensors, such as an optimizer's state. They are not copied: write before the next step.
    pub fn with(mut self, tensors: impl IntoIterator<Item = (String, Tensor)>) -> Self {
        self.tensors.extend(tensors);
        self
    }

    /// Notes a value for [`Checkpoint::number`] or `metadata`.
    pub fn note(mut self, key: &str, value: impl ToString) -> Self {
        self.metadata.insert(key.to_owned(), value.to_string());
        self
    }

    /// A noted number; the error names the key.
    pub fn number<T: std::str::FromStr>(&self, key: &str) -> Result<T> {
        let number = self.metadata.get(key).and_then(|text| text.parse().ok());
        number.ok_or_else(|| Error::invalid(format!("metadata.{key}"), "is missing or not a number"))
    }

    /// The tensor of this name.
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// Every tensor with its name, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// The file. Equal checkpoints give equal bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut notes = String::new();
        for (key, value) in &self.metadata {
            if key.contains(['=', '\n']) || value.contains('\n') {
                return Err(Error::unexpected(format!("metadata {key:?} has a line break or an equals sign")));
            }
            notes.push_str(&format!("{key}={value}\n"));
        }
        let mut packed = Vec::with_capacity(self.tensors.len());
        for (name, tensor) in self.iter() {
            let shape: Vec<usize> = tensor.size().iter().map(|&side| side as usize).collect();
            packed.push((name, dtype(tensor.kind())?, shape, raw_bytes(tensor)?));
        }
        let mut views = Vec::with_capacity(packed.len());
        for (name, dtype, shape, bytes) in &packed {
            views.push((name, TensorView::new(*dtype, shape.clone(), bytes).map_err(Error::unexpected)?));
        }
        let metadata = HashMap::from([(METADATA_KEY.to_owned(), notes)]);
        safetensors::serialize(views, Some(metadata)).map_err(Error::unexpected)
    }

    /// Reads a file: header at most [`MAX_HEADER_BYTES`], at most [`MAX_TENSOR_COUNT`] tensors, every
    /// value finite. Names, shapes and kinds are checked where they are used, by `load`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let refused = |why: String| Error::invalid("checkpoint", why);
        let header_size = bytes.first_chunk().map(|size| u64::from_le_bytes(*size));
        match header_size {
            None => return Err(refused("is shorter than its own size field".to_owned())),
            Some(size) if size > MAX_HEADER_BYTES => {
                return Err(refused(format!("has a header of {size} bytes, at most {MAX_HEADER_BYTES} are read")));
            }
            Some(_) => {}
        }
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| refused(error.to_string()))?;
        let file = SafeTensors::deserialize(bytes).map_err(|error| refused(error.to_string()))?;
        if file.len() > MAX_TENSOR_COUNT {
            return Err(refused(format!("holds {} tensors, at most {MAX_TENSOR_COUNT} are read", file.len())));
        }
        let mut checkpoint = Self::default();
        let notes = header.metadata().as_ref().and_then(|entries| entries.get(METADATA_KEY));
        for line in notes.into_iter().flat_map(|notes| notes.lines()) {
            let (key, value) = line.split_once('=').ok_or_else(|| refused("has broken metadata".to_owned()))?;
            checkpoint.metadata.insert(key.to_owned(), value.to_owned());
        }
        for (name, view) in file.iter() {
            let kind = kind(view.dtype()).ok_or_else(|| refused(format!("{name} is of kind {}", view.dtype())))?;
            let size: Vec<i64> = view.shape().iter().map(|&side| side as i64).collect();
            let tensor = Tensor::f_from_data_size(view.data(), &size, kind).map_err(Error::unexpected)?;
            if !is_finite(&tensor)? {
                return Err(refused(format!("{name} holds a value that is not finite")));
            }
            checkpoint.tensors.insert(name.to_owned(), tensor);
        }
        Ok(checkpoint)
    }
}

/// Whether two tensors have one shape and one kind.
pub(crate) fn same_layout(a: &Tensor, b: &Tensor) -> bool {
    a.size() == b.size() && a.kind() == b.kind()
}

/// blake3 over names, kinds, shapes and values, in hex.
pub(crate) fn digest_of<'a>(tensors: impl Iterator<Item = (&'a str, &'a Tensor)>) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    for (name, tensor) in tensors {
        // Lengths first, so that no two lists of tensors share one stream of bytes.
        hasher.update(format!("{} {name} {:?} {:?} ", name.len(), tensor.kind(), tensor.size()).as_bytes());
        hasher.update(&raw_bytes(tensor)?);
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// A row-major tensor on the CPU: safetensors holds nothing else, and channels-last weights are not.
fn contiguous(tensor: &Tensor) -> Result<Tensor> {
    let moved = tensor.f_detach().and_then(|tensor| tensor.f_to_device(Device::Cpu));
    moved.and_then(|tensor| tensor.f_contiguous()).map_err(Error::unexpected)
}

fn raw_bytes(tensor: &Tensor) -> Result<Vec<u8>> {
    let tensor = contiguous(tensor)?;
    let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
    tensor.f_copy_data_u8(&mut bytes, tensor.numel()).map_err(Error::unexpected)?;
    Ok(bytes)
}

fn is_finite(tensor: &Tensor) -> Result<bool> {
    let all = || tensor.f_isfinite()?.f_all()?.f_int64_value(&[]);
    Ok(all().map_err(Error::unexpected)? != 0)
}

/// The kinds that our networks use, and no others.
const KINDS: [(Dtype, Kind); 5] = [
    (Dtype::F32, Kind::Float),
    (Dtype::F64, Kind::Double),
    (Dtype::BF16, Kind::BFloat16),
    (Dtype::I64, Kind::Int64),
    (Dtype::U8, Kind::Uint8),
];

fn kind(dtype: Dtype) -> Option<Kind> {
    KINDS.iter().find(|(known, _)| *known == dtype).map(|(_, kind)| *kind)
}

fn dtype(kind: Kind) -> Result<Dtype> {
    let dtype = KINDS.iter().find(|(_, known)| *known == kind).map(|(dtype, _)| *dtype);
    dtype.ok_or_else(|| Error::unexpected(format!("no checkpoint holds tensors of kind {kind:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Checkpoint {
        let pixels = Tensor::arange(24, (Kind::Float, Device::Cpu)).view([1, 2, 3, 4]);
        Checkpoint::default()
            .with([
                ("conv.weight".to_owned(), crate::tensors::channels_last(&pixels).unwrap()),
                ("half".to_owned(), Tensor::from_slice(&[0.5f32, -1.0]).to_kind(Kind::BFloat16)),
                ("count".to_owned(), Tensor::from_slice(&[7i64])),
            ])
            .note("step", 12)
            .note("config", "{\"epochs\": 3, \"rate\": \"a=b\"}")
    }

    #[test]
    fn a_checkpoint_comes_back_as_it_was_written() {
        let bytes = example().to_bytes().unwrap();
        let back = Checkpoint::from_bytes(&bytes).unwrap();
        assert_eq!(back.metadata, example().metadata);
        assert_eq!(back.number::<u64>("step"), Ok(12));
        assert!(back.number::<u64>("config").is_err());
        for (name, tensor) in example().iter() {
            assert_eq!(back.tensor(name).unwrap(), tensor, "{name}");
        }
        assert_eq!(back.to_bytes().unwrap(), bytes);
    }

    #[test]
    fn equal_checkpoints_are_equal_bytes() {
        assert!((0..8).all(|_| example().to_bytes().unwrap() == example().to_bytes().unwrap()));
    }

    fn check_refused(bytes: &[u8], why: &str) {
        let error = Checkpoint::from_bytes(bytes).unwrap_err();
        assert!(matches!(&error, Error::InvalidFields(_)), "{error:?}");
        assert!(error.to_string().contains(why), "{error} does not say {why:?}");
    }

    #[test]
    fn broken_files_are_refused_with_the_reason() {
        let bytes = example().to_bytes().unwrap();
        check_refused(b"", "shorter");
        check_refused(&bytes[..bytes.len() - 1], "not fully covered");
        check_refused(&[bytes.as_slice(), b"x"].concat(), "not fully covered");
        check_refused(&[&[0xff; 8][..], &bytes[8..]].concat(), "header of");
        check_refused(&[&2_000_000u64.to_le_bytes()[..], &vec![b' '; 2_000_000]].concat(), "at most 1000000");
        check_refused(&[&4u64.to_le_bytes()[..], b"junk"].concat(), "JSON");
    }

    #[test]
    fn values_that_are_not_finite_are_refused() {
        for value in [f32::NAN, f32::INFINITY] {
            let tensors = [("weight".to_owned(), Tensor::from_slice(&[0.0, value]))];
            check_refused(&Checkpoint::default().with(tensors).to_bytes().unwrap(), "weight holds a value");
        }
    }

    #[test]
    fn too_many_tensors_are_refused() {
        let many = (0..=MAX_TENSOR_COUNT).map(|i| (i.to_string(), Tensor::from_slice(&[0u8])));
        check_refused(&Checkpoint::default().with(many).to_bytes().unwrap(), "2001 tensors");
    }

    #[test]
    fn a_kind_that_no_network_uses_is_refused() {
        let bytes = safetensors::serialize([("half", TensorView::new(Dtype::F16, vec![1], &[0, 0]).unwrap())], None);
        check_refused(&bytes.unwrap(), "of kind F16");
    }
}
