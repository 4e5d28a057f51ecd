//! The inner loops, for each processor, each with a portable twin.
