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
        let held = format!("a run can have {}", held.join(", "));
        let unlimited = match self.memory {
            Some(_) => "",
            None => "; its memory is not limited (--agent-memory)",
        };
        match cgroup {
            Some(why) => {
                let reason = Reason::NoCgroup;
                Layer::partial(
                    Some(reason),
                    format!(
                        "{held}; its memory is not limited: {} ({why})",
                        reason.sentence()
                    ),
                )
            }
            None if !report.pid_limit => {
                let reason = Reason::NoProcessLimit;
                let sentence = format!(
                    "{held}{unlimited}; its processes are not limited: {}",
                    reason.sentence()
                );
                Layer::partial(Some(reason), sentence)
            }
            None => Layer::enforced(format!("{held}{unlimited}")),
        }
    }
}
