//! OCI image archives, made without a container engine: what `ctr -n k8s.io images import` and any other tool that
//! reads an OCI image layout in a tar takes (OCI image specification 1.1, image-layout.md).
//!
//! An image has one layer with a few files. The same input gives the same bytes: no times, root as owner of every
//! file, everything sorted.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use oci_spec::OciSpecError;
use oci_spec::image::{
    ANNOTATION_REF_NAME, Arch, ConfigBuilder, Descriptor, DescriptorBuilder, ImageConfigurationBuilder,
    ImageIndexBuilder, ImageManifestBuilder, MediaType, OciLayoutBuilder, Os, PlatformBuilder, RootFsBuilder,
    Sha256Digest,
};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

#[cfg(test)]
mod tests;

/// The annotation from which containerd takes the name of an imported image.
const ANNOTATION_CONTAINERD_NAME: &str = "io.containerd.image.name";
const IMAGE_LAYOUT_VERSION: &str = "1.0.0";
const DIRECTORY_MODE: u32 = 0o755;
const MODE_BITS: u32 = 0o7777;

/// The processor that the image's programs run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// 64-bit x86.
    Amd64,
    /// 64-bit Arm.
    Arm64,
}

impl From<Architecture> for Arch {
    fn from(architecture: Architecture) -> Arch {
        match architecture {
            Architecture::Amd64 => Arch::Amd64,
            Architecture::Arm64 => Arch::ARM64,
        }
    }
}

/// Why an image cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The name would not be found again under which it was imported.
    #[error(
        "image name {0:?} is not complete: give HOST/PATH:TAG, since a kubelet completes anything shorter"
    )]
    Reference(String),
    /// A path inside the image that is relative, has `.` or `..` or empty parts, or is the root itself.
    #[error("{0:?} cannot be a path in an image: give an absolute path without '.' and '..'")]
    Path(String),
    /// Two files with one path, or a file where another one needs a directory.
    #[error("two files claim {0:?} in the image: leave one out")]
    Taken(String),
    /// A file could not be read or the archive not be written.
    #[error("{}: {error}", path.display())]
    File {
        /// The file on this host.
        path: PathBuf,
        /// What the operating system said.
        error: io::Error,
    },
    /// A tar entry or JSON document could not be built.
    #[error("the image cannot be encoded: {0}")]
    Encode(String),
}

impl From<OciSpecError> for ImageError {
    fn from(error: OciSpecError) -> ImageError {
        ImageError::Encode(error.to_string())
    }
}

/// What is in an image that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The name to use in a pod.
    pub reference: String,
    /// `sha256:…` of the manifest, by which containerd names the content.
    pub digest: String,
}

#[derive(Clone, Debug)]
struct ImageFile {
    host_path: PathBuf,
    mode: u32,
}

/// Collects what goes into an image. Files are read by [`ImageBuilder::write`], not before.
#[derive(Clone, Debug)]
pub struct ImageBuilder {
    reference: String,
    architecture: Architecture,
    entrypoint: Vec<String>,
    user: Option<String>,
    labels: BTreeMap<String, String>,
    env: BTreeMap<String, String>,
    files: Vec<(String, ImageFile)>,
}

impl ImageBuilder {
    /// An empty Linux image under its complete name, `HOST/PATH:TAG`.
    pub fn new(reference: impl Into<String>, architecture: Architecture) -> ImageBuilder {
        ImageBuilder {
            reference: reference.into(),
            architecture,
            entrypoint: Vec::new(),
            user: None,
            labels: BTreeMap::new(),
            env: BTreeMap::new(),
            files: Vec::new(),
        }
    }

    /// The program, by its path in the image, and its first arguments; replaces what was set before. An image of
    /// several programs may leave it out: its pods then name their `command`.
    #[must_use]
    pub fn entrypoint<S: Into<String>>(mut self, words: impl IntoIterator<Item = S>) -> ImageBuilder {
        self.entrypoint = words.into_iter().map(Into::into).collect();
        self
    }

    /// Puts the file `host_path` to the absolute `image_path`, with permission bits such as `0o755`. Directories above
    /// it are made.
    #[must_use]
    pub fn file(
        mut self,
        host_path: impl Into<PathBuf>,
        image_path: impl Into<String>,
        mode: u32,
    ) -> ImageBuilder {
        self.files
            .push((image_path.into(), ImageFile { host_path: host_path.into(), mode: mode & MODE_BITS }));
        self
    }

    /// A label of the image, such as `org.opencontainers.image.version`.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> ImageBuilder {
        self.labels.insert(name.into(), value.into());
        self
    }

    /// An environment variable of its processes.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> ImageBuilder {
        self.env.insert(name.into(), value.into());
        self
    }

    /// The user, `UID` or `UID:GID`; root unless set. Numbers only help: `runAsNonRoot` needs one, and the image has
    /// no `/etc/passwd` unless a file is put there.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> ImageBuilder {
        self.user = Some(user.into());
        self
    }

    /// Reads the files and writes the archive; one that is there already is replaced.
    pub fn write(&self, archive: &Path) -> Result<Image, ImageError> {
        if !is_complete(&self.reference) {
            return Err(ImageError::Reference(self.reference.clone()));
        }
        let layer = Blob::new(MediaType::ImageLayer, self.layer()?);
        let config = Blob::new(MediaType::ImageConfig, self.config(&layer)?);
        let manifest = ImageManifestBuilder::default()
            .schema_version(2u32)
            .media_type(MediaType::ImageManifest)
            .config(config.descriptor()?)
            .layers([layer.descriptor()?])
            .build()?;
        let manifest = Blob::new(MediaType::ImageManifest, json(&manifest)?);
        let index = ImageIndexBuilder::default()
            .schema_version(2u32)
            .media_type(MediaType::ImageIndex)
            .manifests([self.named(manifest.descriptor()?)?])
            .build()?;
        let layout = OciLayoutBuilder::default().image_layout_version(IMAGE_LAYOUT_VERSION).build()?;

        let blob_paths =
            [&manifest, &config, &layer].map(|blob| (format!("blobs/sha256/{}", blob.hex), blob));
        let mut files = BTreeMap::from([
            ("index.json".to_owned(), json(&index)?),
            ("oci-layout".to_owned(), json(&layout)?),
        ]);
        files.extend(blob_paths.into_iter().map(|(path, blob)| (path, blob.bytes.clone())));
        let entries = files.into_iter().map(|(path, bytes)| (path, 0o644, bytes));
        let bytes = tar(BTreeSet::new(), entries)?;
        fs::write(archive, bytes).map_err(|error| ImageError::File { path: archive.into(), error })?;
        Ok(Image { reference: self.reference.clone(), digest: format!("sha256:{}", manifest.hex) })
    }

    /// The layer: every directory, then every file, by path.
    fn layer(&self) -> Result<Vec<u8>, ImageError> {
        let mut files = BTreeMap::new();
        let mut directories = BTreeSet::new();
        for (image_path, file) in &self.files {
            let path = relative(image_path)?;
            let parents = path.match_indices('/').map(|(end, _)| path[..end].to_owned());
            directories.extend(parents);
            if files.insert(path.to_owned(), file).is_some() {
                return Err(ImageError::Taken(image_path.clone()));
            }
        }
        if let Some(path) = files.keys().find(|path| directories.contains(*path)) {
            return Err(ImageError::Taken(format!("/{path}")));
        }
        let mut entries = Vec::new();
        for (path, file) in files {
            let bytes = fs::read(&file.host_path)
                .map_err(|error| ImageError::File { path: file.host_path.clone(), error })?;
            entries.push((path, file.mode, bytes));
        }
        tar(directories, entries)
    }

    fn config(&self, layer: &Blob) -> Result<Vec<u8>, ImageError> {
        let env: Vec<String> = self.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut config = ConfigBuilder::default()
            .env(env)
            .labels(self.labels.clone().into_iter().collect::<HashMap<_, _>>())
            .working_dir("/");
        if !self.entrypoint.is_empty() {
            config = config.entrypoint(self.entrypoint.clone());
        }
        if let Some(user) = &self.user {
            config = config.user(user);
        }
        // The layer is stored as it is, so its digest is also that of the unpacked content.
        let root =
            RootFsBuilder::default().typ("layers").diff_ids([format!("sha256:{}", layer.hex)]).build()?;
        json(
            &ImageConfigurationBuilder::default()
                .architecture(self.architecture)
                .os(Os::Linux)
                .config(config.build()?)
                .rootfs(root)
                .build()?,
        )
    }

    /// The manifest's descriptor in the index: for which machine it is, and the name to import it under.
    fn named(&self, mut descriptor: Descriptor) -> Result<Descriptor, ImageError> {
        let platform = PlatformBuilder::default().architecture(self.architecture).os(Os::Linux).build()?;
        let names = [ANNOTATION_CONTAINERD_NAME, ANNOTATION_REF_NAME];
        let annotations = names.map(|name| (name.to_owned(), self.reference.clone()));
        descriptor.set_platform(Some(platform));
        descriptor.set_annotations(Some(HashMap::from(annotations)));
        Ok(descriptor)
    }
}

/// Content, and the name that follows from it.
struct Blob {
    media_type: MediaType,
    hex: String,
    bytes: Vec<u8>,
}

impl Blob {
    fn new(media_type: MediaType, bytes: Vec<u8>) -> Blob {
        let hex = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Blob { media_type, hex, bytes }
    }

    fn descriptor(&self) -> Result<Descriptor, ImageError> {
        let digest: Sha256Digest = self.hex.parse()?;
        let size = self.bytes.len() as u64;
        Ok(DescriptorBuilder::default()
            .media_type(self.media_type.clone())
            .digest(digest)
            .size(size)
            .build()?)
    }
}

/// JSON with sorted keys: `oci-spec` keeps labels and annotations in hash maps, whose order differs from run to run. A
/// JSON value is sorted, unless some crate of the build asks serde_json to keep the order of insertion.
fn json(document: &impl Serialize) -> Result<Vec<u8>, ImageError> {
    let encode = |error: serde_json::Error| ImageError::Encode(error.to_string());
    let mut value = serde_json::to_value(document).map_err(encode)?;
    value.sort_all_objects();
    serde_json::to_vec(&value).map_err(encode)
}

/// A tar of the directories and then the files (path, mode, content), owned by root, without times.
fn tar(
    directories: BTreeSet<String>,
    files: impl IntoIterator<Item = (String, u32, Vec<u8>)>,
) -> Result<Vec<u8>, ImageError> {
    let encode = |error: io::Error| ImageError::Encode(error.to_string());
    let mut archive = tar::Builder::new(Vec::new());
    for path in directories {
        let mut header = header(tar::EntryType::Directory, DIRECTORY_MODE, 0);
        archive.append_data(&mut header, path + "/", io::empty()).map_err(encode)?;
    }
    for (path, mode, bytes) in files {
        let mut header = header(tar::EntryType::Regular, mode, bytes.len() as u64);
        archive.append_data(&mut header, path, bytes.as_slice()).map_err(encode)?;
    }
    archive.into_inner().map_err(encode)
}

fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

/// Host, path and tag are all there. A kubelet completes a name without a host with that of a public registry, and one
/// without a tag with `latest`, and then does not find the image that was imported.
fn is_complete(reference: &str) -> bool {
    let Some((host, path)) = reference.split_once('/') else { return false };
    let Some((name, tag)) = path.rsplit_once(':') else { return false };
    let is_host = host.contains(['.', ':']) || host == "localhost";
    is_host && !name.is_empty() && !tag.is_empty() && !tag.contains('/')
}

/// The path as it stands in the tar.
fn relative(image_path: &str) -> Result<&str, ImageError> {
    let refused = || ImageError::Path(image_path.to_owned());
    let path = image_path.strip_prefix('/').ok_or_else(refused)?;
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) { Err(refused()) } else { Ok(path) }
}
