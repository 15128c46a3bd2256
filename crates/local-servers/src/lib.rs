//! Servers that others wrote, each in a process that ends with the one that started it. Development only.

pub mod dynamodb;
pub mod helper;
pub mod redis;
