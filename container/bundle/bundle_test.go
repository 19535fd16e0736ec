// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/container"
)

func TestIdentityOfBundles(t *testing.T) {
	t.Parallel()
	pod := container.Pod{Namespace: "shop", Name: "web-0", UID: "u", Container: "front"}
	sandbox := container.Pod{Namespace: "shop", Name: "web-0", UID: "u", Sandbox: true}
	for name, c := range map[string]struct {
		bundle      string
		annotations map[string]string
		want        container.Identity
	}{
		"containerd's CRI": {"/run/containerd/io.containerd.runtime.v2.task/k8s.io/id", map[string]string{
			"io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.container-name": "front", "io.kubernetes.cri.sandbox-name": "web-0",
			"io.kubernetes.cri.sandbox-namespace": "shop", "io.kubernetes.cri.sandbox-uid": "u", "io.kubernetes.cri.image-name": "nginx:1",
		}, container.Identity{Runtime: "containerd", Name: "front", Image: "nginx:1", Pod: pod}},
		"a sandbox": {"/run/containerd/io.containerd.runtime.v2.task/k8s.io/id", map[string]string{
			"io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-name": "web-0",
			"io.kubernetes.cri.sandbox-namespace": "shop", "io.kubernetes.cri.sandbox-uid": "u",
		}, container.Identity{Runtime: "containerd", Name: "web-0", Pod: sandbox}},
		"CRI-O": {"/run/containers/storage/overlay-containers/id/userdata", map[string]string{
			"io.kubernetes.cri-o.ContainerType": "container", "io.kubernetes.container.name": "front", "io.kubernetes.pod.name": "web-0",
			"io.kubernetes.pod.namespace": "shop", "io.kubernetes.pod.uid": "u", "io.kubernetes.cri-o.ImageName": "nginx:1",
		}, container.Identity{Runtime: "cri-o", Name: "front", Image: "nginx:1", Pod: pod}},
		"Docker":  {"/run/containerd/io.containerd.runtime.v2.task/moby/id", nil, container.Identity{Runtime: "docker", Name: "id"}},
		"podman":  {"/run/containers/storage/overlay-containers/id/userdata", nil, container.Identity{Runtime: "podman", Name: "id"}},
		"nerdctl": {"/run/containerd/io.containerd.runtime.v2.task/default/id", map[string]string{"nerdctl/name": "web"}, container.Identity{Runtime: "containerd", Name: "web"}},
		"runc":    {"/my/bundle", nil, container.Identity{Runtime: "runc", Name: "id"}},
	} {
		c.want.ID, c.want.Bundle = "id", c.bundle
		if got := identity("runc", "id", c.bundle, c.annotations); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v\nwant %+v", name, got, c.want)
		}
	}
}

// The contents of a bundle come from others.
func TestReadConfigOfOthers(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"no JSON": "{", "another shape": `{"annotations":[1]}`, "too large": `{"a":"` + strings.Repeat("x", maxConfig) + `"}`} {
		dir := t.TempDir()
		if err := os.WriteFile(dir+"/config.json", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readConfig(dir); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := readConfig(t.TempDir()); err == nil {
		t.Error("no file: no error")
	}
}
