// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package starts

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gizmo-ebpf/gizmo/container"
)

// command is a call of an OCI runtime that makes a container.
type command struct {
	runtime string // "runc", "crun"
	id      string
	bundle  string // its folder
	pidFile string // empty: there is none
}

// flagsWithValue are the flags of runc and crun whose value is the argument after them.
var flagsWithValue = map[string]bool{
	"--bundle": true, "-b": true, "--pid-file": true, "--console-socket": true, "--root": true, "--log": true, "--log-format": true,
	"--criu": true, "--rootless": true, "--preserve-fds": true, "--config": true, "-f": true, "--cgroup-manager": true,
}

// parseCommand reads the command line of a process that is about to be, or is, an OCI runtime: "runc create --bundle DIR
// --pid-file FILE ID", or run in place of create. Paths are made absolute with the process's working folder.
func parseCommand(args []string, folder string) (c command, ok bool) {
	if len(args) < 3 {
		return c, false
	}
	c.runtime = filepath.Base(args[0])
	var words []string
	c.bundle = "."
	for i := 1; i < len(args); i++ {
		flag, value, joined := strings.Cut(args[i], "=")
		switch {
		case !strings.HasPrefix(flag, "-"):
			words = append(words, args[i])
			continue
		case !flagsWithValue[flag]:
			continue
		case !joined && i+1 < len(args):
			i++
			value = args[i]
		}
		switch flag {
		case "--bundle", "-b":
			c.bundle = value
		case "--pid-file":
			c.pidFile = value
		}
	}
	if len(words) < 2 || words[0] != "create" && words[0] != "run" {
		return c, false
	}
	c.id = words[len(words)-1]
	c.bundle = absolute(c.bundle, folder)
	if c.pidFile != "" {
		c.pidFile = absolute(c.pidFile, folder)
	}
	return c, true
}

func absolute(path, folder string) string {
	if !filepath.IsAbs(path) {
		path = filepath.Join(folder, path)
	}
	return filepath.Clean(path)
}

// maxConfig bounds a bundle's configuration: Docker's have some 10 KB.
const maxConfig = 4 << 20

// config is what of a bundle's config.json is of interest.
type config struct {
	Annotations map[string]string `json:"annotations"`
}

func readConfig(bundle string) (c config, err error) {
	f, err := os.Open(filepath.Join(bundle, "config.json"))
	if err != nil {
		return c, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return c, err
	}
	if len(data) > maxConfig {
		return c, fmt.Errorf("%s: it has more than %d bytes", f.Name(), maxConfig)
	}
	return c, json.Unmarshal(data, &c)
}

// identity returns what a bundle says of its container. Kubernetes' runtimes note the pod in annotations.
func (c *command) identity(config config) container.Identity {
	a := config.Annotations
	first := func(keys ...string) string {
		i := slices.IndexFunc(keys, func(key string) bool { return a[key] != "" })
		if i < 0 {
			return ""
		}
		return a[keys[i]]
	}
	id := container.Identity{
		Runtime: c.caller(a), ID: c.id, Name: c.id,
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

// caller returns the name of the runtime that called the OCI runtime, as far as the bundle tells.
func (c *command) caller(annotations map[string]string) string {
	_, isCRIO := annotations["io.kubernetes.cri-o.ContainerType"]
	switch {
	case isCRIO:
		return "cri-o"
	case strings.Contains(c.bundle, "/io.containerd.runtime.v2.task/moby/"):
		return "docker"
	case strings.Contains(c.bundle, "/io.containerd.runtime."):
		return "containerd"
	case strings.HasSuffix(c.bundle, "/userdata"):
		return "podman"
	}
	return c.runtime
}
