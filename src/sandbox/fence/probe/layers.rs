//! What the mechanisms that work come to, layer by layer.

use super::{
    Probe,
    shell::{behind, removed},
};
use crate::sandbox::fence::{
    FenceError, Layer, Reason,
    launcher::{Failure, Report},
    policy::Strength,
    reason::explain,
};

/// The first Landlock ABI that covers everything that changes a file's contents.
const COMPLETE_ABI: u32 = 3;

/// The first that covers abstract UNIX sockets.
const ABSTRACT_ABI: u32 = 6;

/// The first that covers UNIX sockets on the file system.
pub(super) const SOCKETS_ABI: u32 = 9;

impl Probe {
    pub(super) async fn writes(
        &self,
        abi: Option<u32>,
        no_landlock: Option<Failure>,
        no_mounts: Option<&(Reason, String)>,
    ) -> Result<Layer, FenceError> {
        match self.trespass().await? {
            Err(failure) => return Ok(not_limited(Reason::Other, &failure.message)),
            Ok(false) if !self.inner.strength.mounts && !self.inner.strength.landlock => {
                let detail = no_landlock.map(|failure| failure.message);
                return Ok(not_limited(Reason::NoLandlock, &detail.unwrap_or_default()));
            }
            Ok(false) => return Ok(not_limited(Reason::Ineffective, "tried with a shell")),
            Ok(true) => {}
        }
        let where_to = "the agent can write only to its view, its slot and Cursor's state";
        Ok(match (self.inner.strength.mounts, abi) {
            (true, Some(abi)) => Layer::enforced(format!(
                "{where_to}; read-only mounts and Landlock (ABI {abi}) protect everything else, \
                 with its modes, times and attributes"
            )),
            (true, None) => Layer::enforced(format!(
                "{where_to}; read-only mounts protect everything else, with its modes, times and \
                 attributes"
            )),
            (false, abi) => {
                let abi = abi.unwrap_or_default();
                let truncated = match abi < COMPLETE_ABI {
                    true => "truncate other files, and ",
                    false => "",
                };
                let why = no_mounts.map_or(Reason::Other, |(reason, _)| *reason);
                Layer::partial(
                    Some(why),
                    format!(
                        "{where_to} (Landlock ABI {abi}), but it can {truncated}change modes and \
                         times: {why}"
                    ),
                )
            }
        })
    }

    pub(super) async fn view(&self) -> Result<Layer, FenceError> {
        let fence = self.fence();
        let workspace = self.slot.workspace();
        let run = fence.prepare(&self.slot, &workspace).await?;
        let seen = self.slot.layer(0).0.join("probe");
        let real = workspace.join("probe");
        let outcome = behind(run, &[&real]).await;
        let (went_through, landed) = (removed(&real).await, removed(&seen).await);
        Ok(match outcome {
            Err(failure) => {
                let reason = explain(&failure, false).await;
                Layer::unavailable(reason, format!("no view: {reason} ({failure})"))
            }
            Ok(_) if went_through || !landed => {
                let reason = Reason::Ineffective;
                Layer::unavailable(reason, format!("no view: {reason}"))
            }
            // /proc/PID/root of any process of the user outside leads to the real files, unless
            // Landlock or a PID namespace is in the way.
            Ok(_) if !self.inner.strength.landlock && !self.inner.strength.processes => {
                Layer::partial(
                    Some(Reason::NoLandlock),
                    "the agent works in a copy-on-write view of the workspace, but could get at the \
                 real files if it tried to",
                )
            }
            Ok(_) => Layer::enforced(
                "the agent works in a copy-on-write view of the workspace; the real files are only \
                 read",
            ),
        })
    }

    pub(super) async fn seatbelt(&mut self) -> Result<(), FenceError> {
        let reason = Reason::OperatingSystem;
        let missing = |what: &str| Layer::unavailable(reason, format!("{what}: {reason}"));
        self.inner.status.view = missing("no view");
        self.inner.status.processes = missing("processes of the agent can outlive it");
        self.inner.status.sockets = missing("the agent can use every UNIX socket that you can");
        self.inner.status.limits = missing("nothing limits what a run uses up");
        self.inner.status.writes = Layer::enforced("assumed");
        self.inner.status.writes = match self.trespass().await? {
            Err(failure) => not_limited(Reason::Other, &failure.message),
            Ok(false) => not_limited(Reason::Ineffective, "tried with a shell"),
            Ok(true) => Layer::enforced(
                "sandbox-exec lets the agent write only to its slot and Cursor's state",
            ),
        };
        Ok(())
    }
}

/// The separation from other processes. `why` is what keeps a run from having namespaces.
pub(super) fn processes(report: &Report, why: Option<&(Reason, String)>) -> Layer {
    match (report.pid_namespace, why) {
        (true, _) if report.filter => Layer::enforced(
            "each run has a PID namespace and a session of its own, without terminal and \
             capabilities: it sees no other process, shared memory or key, and all of its own end \
             with it",
        ),
        (true, _) => Layer::partial(
            Some(Reason::Other),
            "each run has a PID namespace and a session of its own, without terminal and \
             capabilities: it sees no other process, and all of its own end with it; but it can use \
             the kernel's keyrings, since this kernel has no system call filters",
        ),
        (false, Some((reason, detail))) => Layer::partial(
            Some(*reason),
            format!(
                "a run has a session of its own, without terminal and capabilities, and its \
                 processes are looked for and ended; but it sees other processes, and shares memory \
                 with those that offer it: {reason} ({detail})"
            ),
        ),
        (false, None) => Layer::unavailable(Reason::Ineffective, Reason::Ineffective.to_string()),
    }
}

/// The separation from programs that listen on UNIX sockets.
pub(super) fn sockets(strength: Strength, abi: Option<u32>) -> Layer {
    if abi.is_some_and(|abi| abi >= SOCKETS_ABI) {
        return Layer::enforced(
            "Landlock keeps the agent from UNIX sockets outside of its view and Cursor's state",
        );
    }
    if strength.no_unix_sockets {
        return Layer::enforced(
            "a system call filter denies UNIX sockets to the agent, Cursor's helpers included",
        );
    }
    let why = Reason::OldLandlock;
    if strength.mounts {
        let abstracts = match abi.is_some_and(|abi| abi >= ABSTRACT_ABI) {
            true => "",
            false => ", and all that have an abstract name",
        };
        return Layer::partial(
            Some(why),
            format!(
                "the UNIX sockets that exist when a run starts are covered; the agent can reach \
                 those that programs make during the run{abstracts}: {why}"
            ),
        );
    }
    let sentence = format!("the agent can use every UNIX socket that you can: {why}");
    Layer::unavailable(why, sentence)
}

fn not_limited(reason: Reason, detail: &str) -> Layer {
    let sentence = format!("nothing limits where the agent writes: {reason} ({detail})");
    Layer::unavailable(reason, sentence)
}
