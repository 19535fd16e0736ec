// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package runtimes has the clients of the container runtimes that gizmo knows, a file for each.
package runtimes

import (
	"fmt"
	"path/filepath"

	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/internal/nearest"
)

// Kind is a kind of container runtime.
type Kind struct {
	// Name is its name for users, and the value of the field runtime.runtimeName: "docker".
	Name string
	// Socket is the usual path of its socket, or of its folder.
	Socket string
	// Flag is the name of the flag for that path.
	Flag string
	// open returns the clients for a socket: some runtimes have several sources.
	open func(socket string) []container.Runtime
}

// Kinds returns the supported runtimes.
func Kinds() []Kind {
	return []Kind{
		{"docker", "/run/docker.sock", "docker-socketpath", func(socket string) []container.Runtime {
			return []container.Runtime{NewDocker(socket)}
		}},
		{"podman", "/run/podman/podman.sock", "podman-socketpath", func(socket string) []container.Runtime {
			return []container.Runtime{NewPodman(socket)}
		}},
		{"containerd", "/run/containerd/containerd.sock", "containerd-socketpath", func(socket string) []container.Runtime {
			// containerd does not say when a container started; runc's state does.
			states := filepath.Join(filepath.Dir(socket), "runc")
			return []container.Runtime{
				NewContainerd(socket), NewCRI(socket, "containerd"),
				NewRunc(filepath.Join(states, "default")), NewRunc(filepath.Join(states, kubernetesNamespace)),
			}
		}},
		{"cri-o", "/run/crio/crio.sock", "crio-socketpath", func(socket string) []container.Runtime {
			return []container.Runtime{NewCRI(socket, "cri-o")}
		}},
		{"runc", "/run/runc", "runc-root", func(root string) []container.Runtime {
			return []container.Runtime{NewRunc(root)}
		}},
		{"crun", "/run/crun", "crun-root", func(root string) []container.Runtime {
			return []container.Runtime{NewCrun(root)}
		}},
	}
}

// Open returns clients of the named runtimes, or of all if names is empty. sockets has paths by the names of runtimes;
// other runtimes have their usual paths. Open connects to none of them.
func Open(names []string, sockets map[string]string) ([]container.Runtime, error) {
	byName := make(map[string]Kind)
	var all []string
	for _, k := range Kinds() {
		byName[k.Name] = k
		all = append(all, k.Name)
	}
	if len(names) == 0 {
		names = all
	}
	var clients []container.Runtime
	opened := make(map[string]bool)
	for _, name := range names {
		k, ok := byName[name]
		if !ok {
			return nil, fmt.Errorf("there is no container runtime %q%s", name, nearest.Hint(name, all))
		}
		if opened[name] {
			continue
		}
		opened[name] = true
		socket := sockets[name]
		if socket == "" {
			socket = k.Socket
		}
		clients = append(clients, k.open(socket)...)
	}
	return clients, nil
}
