//! gwlb
