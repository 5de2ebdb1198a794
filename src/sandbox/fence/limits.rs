//! What one run may use up, and what of that the machine can enforce.

use super::{Layer, Reason, launcher::Report};

/// What one run may use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceLimits {
    /// Bytes on disk: of one file, and of all in its view and its private directories.
    pub disk: u64,
    /// Bytes of memory of all its processes; `None` is no limit.
    pub memory: Option<u64>,
}

impl Default for ResourceLimits {
    fn default() -> Self {
        Self {
            disk: 4 << 30,
            memory: None,
        }
    }
}

impl ResourceLimits {
    /// The layer that these limits are, where the launcher has set up what `report` says. `cgroup`
    /// is why there is none, if one was needed.
    pub(super) fn layer(self, report: &Report, cgroup: Option<&str>) -> Layer {
        let mut held = vec![format!("{} MiB of files", self.disk >> 20)];
        if report.pid_limit {
            held.push("4096 processes".to_owned());
        }
        if let (Some(bytes), None) = (self.memory, cgroup) {
            held.push(format!("{} MiB of memory", bytes >> 20));
        }
        let unlimited = match (cgroup, self.memory) {
            (Some(why), _) => {
                format!("; its memory is not limited: {} ({why})", Reason::NoCgroup)
            }
            (None, None) => "; its memory is not limited (--agent-memory)".to_owned(),
            (None, Some(_)) => String::new(),
        };
        let sentence = format!("a run can have {}{unlimited}", held.join(", "));
        let no_limit = Reason::NoProcessLimit;
        match cgroup {
            Some(_) => Layer::partial(Some(Reason::NoCgroup), sentence),
            None if report.pid_limit => Layer::enforced(sentence),
            None => Layer::partial(
                Some(no_limit),
                format!("{sentence}; its processes are not limited: {no_limit}"),
            ),
        }
    }
}
