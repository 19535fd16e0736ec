// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFind(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for id, folder := range map[string]string{
		"docker":   "/run/containerd/io.containerd.runtime.v2.task/moby/docker",
		"dockerd":  "/run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby/dockerd",
		"pod":      "/run/containerd/io.containerd.runtime.v2.task/k8s.io/pod",
		"podman":   "/var/lib/containers/storage/overlay-containers/podman/userdata",
		"cri-o":    "/run/containers/storage/overlay-containers/cri-o/userdata",
		"no-file":  "",
		"..":       "",
		"a/../pod": "",
		"*":        "",
		"":         "",
	} {
		want := ""
		if folder != "" {
			want = root + folder
			if err := os.MkdirAll(want, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(want, "config.json"), []byte("{}"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := find(root, id); got != want {
			t.Errorf("%q: %q, want %q", id, got, want)
		}
	}
}
