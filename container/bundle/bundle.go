// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package bundle reads what the folder of an OCI container, its bundle, says about the container.
package bundle

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/internal/safefile"
)

// maxConfig bounds a bundle's configuration: Docker's have some 10 KB.
const maxConfig = 4 << 20

// config is the part of a bundle's config.json that gizmo reads.
type config struct {
	Annotations map[string]string `json:"annotations"`
}

func readConfig(folder string) (c config, err error) {
	data, err := Config(folder)
	if err != nil {
		return c, err
	}
	return c, json.Unmarshal(data, &c)
}

// Config returns the configuration of the container in a bundle's folder: its config.json, which may be no JSON at all.
func Config(folder string) ([]byte, error) {
	return safefile.Read(filepath.Join(folder, "config.json"), "a container's configuration", maxConfig)
}

// Parse is [Identity] for a bundle whose configuration the caller has read. A configuration that is empty or no JSON says nothing.
func Parse(ociRuntime, id, folder string, text []byte) container.Identity {
	var c config
	if json.Unmarshal(text, &c) != nil {
		c = config{}
	}
	return identity(ociRuntime, id, folder, c.Annotations)
}

// Identity returns the identity of the container that an OCI runtime made from the bundle in a folder. Kubernetes' runtimes write
// the pod into annotations. If the bundle cannot be read, Identity returns an error together with what the folder's path shows.
func Identity(ociRuntime, id, folder string) (container.Identity, error) {
	c, err := readConfig(folder)
	return identity(ociRuntime, id, folder, c.Annotations), err
}

func identity(ociRuntime, containerID, folder string, a map[string]string) container.Identity {
	first := func(keys ...string) string {
		i := slices.IndexFunc(keys, func(key string) bool { return a[key] != "" })
		if i < 0 {
			return ""
		}
		return a[keys[i]]
	}
	id := container.Identity{
		Runtime: caller(ociRuntime, folder, a), ID: containerID, Name: containerID, Bundle: folder,
		Image: first("io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName"),
		Pod: container.Pod{
			Namespace: first("io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace"),
			Name:      first("io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"),
			UID:       first("io.kubernetes.cri.sandbox-uid", "io.kubernetes.pod.uid"),
			Container: first("io.kubernetes.cri.container-name", "io.kubernetes.container.name"),
			Sandbox:   first("io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType") == "sandbox",
		},
	}
	switch {
	case id.Pod.Sandbox:
		id.Name, id.Pod.Container = id.Pod.Name, ""
	case id.Pod.Container != "":
		id.Name = id.Pod.Container
	case a["nerdctl/name"] != "":
		id.Name = a["nerdctl/name"]
	}
	return id
}

// caller returns the name of the runtime that called the OCI runtime, as far as the bundle shows it.
func caller(ociRuntime, folder string, annotations map[string]string) string {
	_, isCRIO := annotations["io.kubernetes.cri-o.ContainerType"]
	switch {
	case isCRIO:
		return "cri-o"
	case strings.Contains(folder, "/io.containerd.runtime.v2.task/moby/"):
		return "docker"
	case strings.Contains(folder, "/io.containerd.runtime."):
		return "containerd"
	case strings.HasSuffix(folder, "/userdata"):
		return "podman"
	}
	return ociRuntime
}
