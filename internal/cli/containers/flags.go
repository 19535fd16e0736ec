// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package containers turns the flags about containers into the containers that a command knows, and lists these.
package containers

import (
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/container/runtimes"
	"github.com/gizmo-ebpf/gizmo/internal/cli/flags"
)

// Flags select containers and say which runtimes gizmo asks for them.
type Flags struct {
	fs       *pflag.FlagSet
	criteria map[string]*string // by the names of criteria
	runtimes []string
	sockets  map[string]*string // by the names of runtimes
}

// Register adds the flags to fs.
func (f *Flags) Register(fs *pflag.FlagSet) {
	f.fs = fs
	f.criteria, f.sockets = make(map[string]*string), make(map[string]*string)
	for _, c := range container.Criteria() {
		shorthand := ""
		if c.Name == "containername" {
			shorthand = "c"
		}
		f.criteria[c.Name] = fs.StringP(c.Name, shorthand, "", fmt.Sprintf("select containers by %s: %s", c.Doc, c.Example))
	}
	var names []string
	for _, kind := range runtimes.Kinds() {
		names = append(names, kind.Name)
		f.sockets[kind.Name] = fs.String(kind.Flag, kind.Socket, "where gizmo asks "+kind.Name)
	}
	fs.StringSliceVarP(&f.runtimes, "runtimes", "r", nil, "container runtimes to ask: "+strings.Join(names, ",")+"; without it, all")
}

// Selecting returns the name of a flag that selects containers and is set; "" if there is none.
func (f *Flags) Selecting() string {
	for _, c := range container.Criteria() {
		if f.fs.Changed(c.Name) {
			return c.Name
		}
	}
	return ""
}

// check rejects empty values, which a script passes whose search found nothing: without the criterion gizmo would show all.
func (f *Flags) check() error {
	for _, values := range []map[string]*string{f.criteria, f.paths()} {
		for name, value := range values {
			if f.fs.Changed(name) && strings.TrimSpace(*value) == "" {
				return fmt.Errorf("--%s: the value is empty", name)
			}
		}
	}
	return nil
}

// paths returns the paths of runtimes by the names of their flags.
func (f *Flags) paths() map[string]*string {
	paths := make(map[string]*string)
	for _, kind := range runtimes.Kinds() {
		paths[kind.Flag] = f.sockets[kind.Name]
	}
	return paths
}

// Open checks the flags and returns the containers, of which none is known before Start. It asks no runtime yet. guard is the
// command that runs Guard; without it, gizmo sees no container before its runtime reports it.
func (f *Flags) Open(log *slog.Logger, guard []string) (*Containers, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	selector, err := container.NewSelector(flags.Given(f.criteria))
	if err != nil {
		return nil, fmt.Errorf("--%w", err)
	}
	clients, err := runtimes.Open(f.runtimes, flags.Given(f.sockets))
	if err != nil {
		return nil, fmt.Errorf("--runtimes: %w", err)
	}
	scan := runtimes.NewScan()
	if len(f.runtimes) == 0 {
		clients = append(clients, scan)
	}
	set := container.NewSet(nodeName())
	keeper, err := container.NewKeeper(set, log, clients...)
	if err != nil {
		return nil, err
	}
	return &Containers{Set: set, Selector: selector, Kubernetes: container.OnKubernetes(), keeper: keeper, scan: scan, command: guard, log: log}, nil
}

// nodeName returns the name of the Kubernetes node: the one in the environment, or else the name of the host, which is
// the same unless the administrator of the cluster chose another one.
func nodeName() string {
	if name := os.Getenv("NODE_NAME"); name != "" {
		return name
	}
	name, _ := os.Hostname() // without it, k8s.node is empty
	return name
}
