// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
)

// maxIndex is how large index.json may be, in bytes: some 100,000 images.
const maxIndex = 64 << 20

// subjectAnnotation is an annotation of entries: the digest of the image that they belong to.
const subjectAnnotation = "io.gizmo.subject"

// layoutFile says that a folder is an OCI layout.
const layoutFile = `{"imageLayoutVersion":"1.0.0"}`

// Image is an image that has a name.
type Image struct {
	Name       string
	Descriptor ocispec.Descriptor
}

// Images returns all images in the order in which they got their names.
func (s *Store) Images() ([]Image, error) {
	all, err := s.entries()
	var images []Image
	for i := range all {
		if name := nameOf(&all[i]); name != "" {
			images = append(images, Image{name, all[i]})
		}
	}
	return images, err
}

// Resolve returns the image with a name. It reads index.json, but looks into one entry only: the store may have thousands.
func (s *Store) Resolve(name string) (ocispec.Descriptor, error) {
	return s.find(name, name, func(d *ocispec.Descriptor) bool { return nameOf(d) == name })
}

// ResolveDigest returns the image with a digest.
func (s *Store) ResolveDigest(sum digest.Digest) (ocispec.Descriptor, error) {
	return s.find(sum.String(), sum.String(), func(d *ocispec.Descriptor) bool { return d.Digest == sum })
}

// find returns the entry that is meant, which has a text in it. Each entry is a line, unless another program has written the file.
func (s *Store) find(what, text string, isMeant func(*ocispec.Descriptor) bool) (ocispec.Descriptor, error) {
	data, err := s.read()
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	quoted := []byte(`"` + text + `"`)
	for rest := data; ; {
		at := bytes.Index(rest, quoted)
		if at < 0 {
			break
		}
		from, to := bytes.LastIndexByte(rest[:at], '\n')+1, bytes.IndexByte(rest[at:], '\n')
		if to < 0 {
			break
		}
		var d ocispec.Descriptor
		if json.Unmarshal(bytes.TrimSuffix(rest[from:at+to], []byte(",")), &d) == nil && isMeant(&d) {
			return d, nil
		}
		rest = rest[at+to:]
	}
	all, err := parse(data)
	for i := range all {
		if isMeant(&all[i]) {
			return all[i], nil
		}
	}
	if err == nil {
		err = fmt.Errorf("%w: %s", ErrNotFound, what)
	}
	return ocispec.Descriptor{}, err
}

func (s *Store) entries() ([]ocispec.Descriptor, error) {
	data, err := s.read()
	if err != nil {
		return nil, err
	}
	return parse(data)
}

// read returns index.json; empty: there is none.
func (s *Store) read() ([]byte, error) {
	data, err := s.folder.ReadFile(ocispec.ImageIndexFile, "index.json", maxIndex)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the store of images: %w", err)
	}
	return data, nil
}

func parse(data []byte) ([]ocispec.Descriptor, error) {
	var index ocispec.Index
	if len(data) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(data, &index); err != nil {
		return nil, fmt.Errorf("read the store of images: index.json: %w", err)
	}
	return index.Manifests, nil
}

// change changes the entries.
func (s *Store) change(to func([]ocispec.Descriptor) ([]ocispec.Descriptor, error)) error {
	unlock, err := s.lock(indexLock, unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer unlock()
	all, err := s.entries()
	if err != nil {
		return err
	}
	if all, err = to(all); err != nil {
		return err
	}
	text, err := format(all)
	if err != nil {
		return err
	}
	if err := s.folder.WriteFile(ocispec.ImageLayoutFile, tempPrefix, []byte(layoutFile)); err != nil {
		return fmt.Errorf("write the store of images: %w", err)
	}
	if err := s.folder.WriteFile(ocispec.ImageIndexFile, tempPrefix, text); err != nil {
		return fmt.Errorf("write the store of images: %w", err)
	}
	return nil
}

// tempPrefix begins the names of files that are being written.
const tempPrefix = ".new-"

// format returns index.json with each entry on a line, for find.
func format(all []ocispec.Descriptor) ([]byte, error) {
	text := []byte(`{"schemaVersion":2,"mediaType":"` + ocispec.MediaTypeImageIndex + `","manifests":[`)
	for i := range all {
		entry, err := json.Marshal(&all[i])
		if err != nil {
			return nil, fmt.Errorf("write the store of images: %w", err)
		}
		if i > 0 {
			text = append(text, ',')
		}
		text = append(append(text, '\n'), entry...)
	}
	return append(text, "\n]}\n"...), nil
}

// entryOf returns an entry for an image, without a name.
func entryOf(d ocispec.Descriptor) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size, Annotations: make(map[string]string)}
}

func nameOf(d *ocispec.Descriptor) string { return d.Annotations[ocispec.AnnotationRefName] }
