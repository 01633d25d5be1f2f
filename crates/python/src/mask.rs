//! Converts the event mask argument.

use std::convert::Infallible;

use pollset::PollFlags;
use pyo3::prelude::*;

use crate::capi;

/// The mask is an integer of 16 bits.
pub fn convert(object: &Bound<'_, PyAny>) -> PyResult<PollFlags> {
    let bits = match capi::as_exact_long(object).map(u16::try_from) {
        Some(Ok(bits)) => bits,
        _ => capi::as_unsigned_short(object)?,
    };
    Ok(PollFlags::from_bits_retain(bits))
}

/// The mask that `register()` uses if it is given none.
const DEFAULT: PollFlags = PollFlags::IN.union(PollFlags::PRI).union(PollFlags::OUT);

/// The optional mask of `register()`. PyO3's `Option` would accept `None` as an omitted argument;
/// here it is a mask of the wrong type.
pub enum Optional<'a, 'py> {
    Omitted,
    Given(Borrowed<'a, 'py, PyAny>),
}

impl Optional<'_, '_> {
    pub fn convert(&self) -> PyResult<PollFlags> {
        match self {
            Self::Omitted => Ok(DEFAULT),
            Self::Given(object) => convert(object),
        }
    }
}

impl<'a, 'py> FromPyObject<'a, 'py> for Optional<'a, 'py> {
    type Error = Infallible;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> Result<Self, Self::Error> {
        Ok(Self::Given(object))
    }
}
