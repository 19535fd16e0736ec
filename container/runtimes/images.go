// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package runtimes

import "sync"

// imageDigests remembers the digests of images, which cost a call each. Its zero value is ready.
type imageDigests struct {
	mu    sync.Mutex
	known map[string]string
}

// maxImages is how many images are remembered.
const maxImages = 1024

// of returns the digest of an image; ask is called if it is not known. An empty digest is not remembered, because an image
// may get one.
func (d *imageDigests) of(image string, ask func() (string, error)) (string, error) {
	d.mu.Lock()
	digest := d.known[image]
	d.mu.Unlock()
	if digest != "" {
		return digest, nil
	}
	digest, err := ask()
	if err != nil || digest == "" {
		return "", err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil || len(d.known) >= maxImages {
		d.known = make(map[string]string)
	}
	d.known[image] = digest
	return digest, nil
}
