//! How a client wants its answers written, for one that it asks for without a request of its own.

use std::{any::Any, fmt, sync::Arc};

/// A form that only its maker can read: this module and the engine know no wire format.
#[derive(Clone)]
pub struct AnswerForm(Arc<dyn Any + Send + Sync>);

impl AnswerForm {
    /// Keeps a form.
    pub fn new<T: Send + Sync + 'static>(form: T) -> Self {
        Self(Arc::new(form))
    }

    /// The form, for the one who kept it.
    #[must_use]
    pub fn get<T: 'static>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

impl fmt::Debug for AnswerForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnswerForm")
    }
}

impl PartialEq for AnswerForm {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
