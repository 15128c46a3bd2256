//! Whole functions on real servers, and the promises that no single crate can keep.

#[macro_use]
mod networks;

// `cfg(test)` always holds here; it tells the linter that these are tests, helpers and all.
#[cfg(test)]
mod account_limits;
#[cfg(test)]
mod alarms;
#[cfg(test)]
mod binary_cache;
#[cfg(test)]
mod cache_invocations;
#[cfg(test)]
mod cache_processes;
#[cfg(test)]
mod cdn_clients;
#[cfg(test)]
mod cdn_invalidation;
#[cfg(test)]
mod cdn_permissions;
#[cfg(test)]
mod cdn_queue;
#[cfg(test)]
mod cdn_release;
mod cdn_repetition;
mod cdn_targets;
#[cfg(test)]
mod cdn_world;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod ec2;
#[cfg(test)]
mod events;
#[cfg(test)]
mod findings;
#[cfg(test)]
mod first_creation;
#[cfg(test)]
mod indicators;
#[cfg(test)]
mod lambda;
#[cfg(test)]
mod late_work;
#[cfg(test)]
mod local_files;
#[cfg(test)]
mod local_workspace;
#[cfg(test)]
mod metadata_faults;
#[cfg(test)]
mod minutes_by_the_hour;
#[cfg(test)]
mod minutes_on_demand;
#[cfg(test)]
mod minutes_shared;
#[cfg(test)]
mod minutes_world;
#[cfg(test)]
mod monitor_faults;
#[cfg(test)]
mod monitor_template;
#[cfg(test)]
mod monitors;
#[cfg(test)]
mod policies;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod publish;
#[cfg(test)]
mod rendered;
#[cfg(test)]
mod report_browser;
#[cfg(test)]
mod report_clients;
#[cfg(test)]
mod report_doors;
#[cfg(test)]
mod report_faults;
#[cfg(test)]
mod report_network;
#[cfg(test)]
mod report_permissions;
#[cfg(test)]
mod report_tiers;
#[cfg(test)]
mod report_url;
#[cfg(test)]
mod report_world;
#[cfg(test)]
mod reports;
#[cfg(test)]
mod running_minutes;
#[cfg(test)]
mod s3_cache;
#[cfg(test)]
mod s3_network;
#[cfg(test)]
mod shared_cache;
#[cfg(test)]
mod source_faults;
#[cfg(test)]
mod tls_cache;
#[cfg(test)]
mod world;
