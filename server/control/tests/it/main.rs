//! Tests of the control plane through its front door, one module for each resource, on both databases.

mod teams;
