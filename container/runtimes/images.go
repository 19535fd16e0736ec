// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package runtimes

import "sync"

// imageDigests remembers the digests of images, because each costs a call. Its zero value is ready to use.
type imageDigests struct {
	mu    sync.Mutex
	known map[string]string
}

// maxImages is how many images it remembers.
const maxImages = 1024

// of returns the digest of an image. It calls ask if it does not know the digest. It does not remember an empty digest, because the image
// may get one later.
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
