//! Who runs this program.

#![allow(unsafe_code)]

/// The number of the user whose rights this process has, as files name their owner. Nothing where files name none.
pub fn user_id() -> Option<u32> {
    #[cfg(unix)]
    {
        // SAFETY: `geteuid` takes nothing, touches no memory and cannot fail.
        Some(unsafe { libc::geteuid() })
    }
    #[cfg(not(unix))]
    {
        None
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn a_new_file_belongs_to_the_user_of_this_process() {
        let path = std::env::temp_dir().join(format!("akin-user-{}", std::process::id()));
        std::fs::write(&path, "").expect("a file");
        let owner = std::fs::metadata(&path).expect("its owner").uid();
        std::fs::remove_file(&path).expect("it is ours");
        assert_eq!(super::user_id(), Some(owner));
    }
}
