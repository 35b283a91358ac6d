//! The compiled part of the Python package `questframe`: registration only.
//!
//! Imports the crate's public API and nothing else of it. Users see `questframe/__init__.py`; the stubs with their
//! docstrings are `_questframe.pyi`.

mod client;
mod columns;
mod error;
mod fit;
mod foreign;
mod frames;
mod ingress;
mod input;
mod late;
mod options;
mod pickle;
mod report;

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
fn _questframe(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<client::Client>()?;
    module.add_class::<client::Stream>()?;
    module.add_class::<client::Ahead>()?;
    module.add_class::<columns::Columns>()?;
    module.add_class::<report::WriteReport>()?;
    module.add_class::<report::ColumnReport>()?;
    module.add_class::<report::Rejected>()?;
    module.add_class::<report::DrainReport>()?;
    module.add_class::<report::Plan>()?;
    module.add_class::<report::PlannedColumn>()?;
    module.add_class::<report::ServerInfo>()?;
    ingress::register(module)?;
    module.add_function(wrap_pyfunction!(client::to_ilp, module)?)?;
    module.add_function(wrap_pyfunction!(columns::are_arrays, module)?)?;
    module.add_function(wrap_pyfunction!(client::plan, module)?)?;
    Ok(())
}
