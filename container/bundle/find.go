// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"os"
	"path/filepath"
)

// places are the folders in which runtimes keep the bundles of containers, each in a folder named after the container, unless the
// administrator chose others. The part * stands for any name: containerd's namespaces.
var places = []struct{ above, below string }{
	{"/run/containerd/io.containerd.runtime.v2.task/*", ""},
	{"/run/docker/containerd/daemon/io.containerd.runtime.v2.task/*", ""},
	{"/run/containers/storage/overlay-containers", "userdata"},
	{"/var/lib/containers/storage/overlay-containers", "userdata"},
}

// Find looks for the bundle of a container in the usual places of Docker, containerd, podman and CRI-O. It returns the empty text if
// there is none.
func Find(id string) string { return find("/", id) }

// find is Find below a folder.
func find(root, id string) string {
	if id == "" || id == "." || id == ".." || id != filepath.Base(id) {
		return ""
	}
	for _, place := range places {
		// The patterns are ours, so that they cannot be malformed.
		folders, _ := filepath.Glob(filepath.Join(root, place.above))
		for _, folder := range folders {
			folder = filepath.Join(folder, id, place.below)
			if _, err := os.Stat(filepath.Join(folder, "config.json")); err == nil {
				return folder
			}
		}
	}
	return ""
}
