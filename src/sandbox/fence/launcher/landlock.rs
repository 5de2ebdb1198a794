//! Landlock: from here on this thread and its descendants write only where they may.
//!
//! Reading is not restricted. No Landlock ABI covers the modes, times and extended attributes of
//! files: read-only mounts do.

use std::path::PathBuf;

use landlock::{
    ABI, AccessFs, CompatLevel, Compatible, LandlockStatus, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

use super::{Failure, Stage, devices};

/// The newest ABI whose rights we name; older kernels enforce what they know. ABI 6 keeps signals
/// and abstract sockets inside, ABI 9 (Linux 7.1) also closes UNIX sockets on the file system.
const NEWEST: ABI = ABI::V9;

/// Rules that deny writing everywhere but under `writable` and on the harmless devices. Paths that do
/// not exist are left out.
pub(super) fn ruleset<'a>(
    writable: impl Iterator<Item = &'a PathBuf>,
) -> Result<RulesetCreated, Failure> {
    rules(writable).map_err(failure)
}

/// Enforces the rules from here on. Returns the ABI in force.
pub(super) fn restrict(ruleset: RulesetCreated) -> Result<u32, Failure> {
    let status = ruleset.restrict_self().map_err(failure)?;
    match (status.ruleset, status.landlock) {
        (RulesetStatus::NotEnforced, LandlockStatus::NotEnabled) => Err(failure(
            "Landlock is built into this kernel but not enabled (boot with lsm=landlock,…)",
        )),
        (RulesetStatus::NotEnforced, _) => Err(failure(
            "this kernel has no Landlock (it needs Linux 5.13 or newer)",
        )),
        (_, LandlockStatus::Available { effective_abi, .. }) => Ok(effective_abi as u32),
        (_, _) => Err(failure("Landlock gave no ABI")),
    }
}

fn failure(error: impl ToString) -> Failure {
    Failure::said(Stage::Landlock, error.to_string())
}

fn rules<'a>(writable: impl Iterator<Item = &'a PathBuf>) -> Result<RulesetCreated, RulesetError> {
    let rights = AccessFs::from_write(NEWEST);
    // Root could make the disk anew under a name that it may write.
    let given = rights & !(AccessFs::MakeBlock | AccessFs::MakeChar);
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(rights)?
        .scope(Scope::AbstractUnixSocket | Scope::Signal)?
        .create()?
        .add_rules(path_beneath_rules(writable, given))?
        .add_rules(path_beneath_rules(devices::HARMLESS, given))
}
