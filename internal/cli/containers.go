// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/container/runtimes"
	"github.com/gizmo-ebpf/gizmo/run"
)

// containerFlags say which containers, and which runtimes are asked for them.
type containerFlags struct {
	criteria map[string]*string
	runtimes []string
	sockets  map[string]*string // by the names of runtimes
}

func (f *containerFlags) register(fs *pflag.FlagSet) {
	f.criteria, f.sockets = make(map[string]*string), make(map[string]*string)
	for _, c := range container.Criteria() {
		short := ""
		if c.Name == "containername" {
			short = "c"
		}
		f.criteria[c.Name] = fs.StringP(c.Name, short, "", fmt.Sprintf("only containers with this %s: %s (! excludes)", c.Doc, c.Example))
	}
	var names []string
	for _, k := range runtimes.Kinds() {
		names = append(names, k.Name)
		f.sockets[k.Name] = fs.String(k.Flag, k.Socket, "socket of "+k.Name)
	}
	fs.StringSliceVarP(&f.runtimes, "runtimes", "r", nil, "container runtimes to ask: "+strings.Join(names, ",")+"; without it, all of them")
}

// selector returns what the flags select.
func (f *containerFlags) selector() (*container.Selector, error) {
	s, err := container.NewSelector(given(f.criteria))
	if err != nil {
		return nil, fmt.Errorf("--%w", err)
	}
	return s, nil
}

// keeper returns a keeper of the containers of this machine, which has not begun.
func (a *app) keeper(f *containerFlags) (*container.Set, *container.Keeper, error) {
	clients, err := runtimes.Open(f.runtimes, given(f.sockets))
	if err != nil {
		return nil, nil, fmt.Errorf("--runtimes: %w", err)
	}
	set := container.NewSet(nodeName())
	k, err := container.NewKeeper(set, a.logger, clients...)
	return set, k, err
}

// nodeName returns the name of the Kubernetes node that gizmo is told it runs on, or else that of the host, which is the
// same unless the administrator of the cluster has chosen another one.
func nodeName() string {
	if name := os.Getenv("NODE_NAME"); name != "" {
		return name
	}
	name, _ := os.Hostname() // the fields of Kubernetes are empty without it
	return name
}

// sayWhoIsThere tells a person why no event may come: that no runtime was found, that there are no containers, or that
// none is selected.
func (a *app) sayWhoIsThere(set *container.Set, k *container.Keeper, o *run.Containers) {
	if o.Host {
		return
	}
	all := set.All()
	selected := 0
	for _, c := range all {
		if o.Selector.Matches(c) {
			selected++
		}
	}
	switch {
	case selected > 0:
	case len(k.Connected()) == 0:
		fmt.Fprintln(a.Err, "gizmo: no container runtime was found, so no events will come; --host shows those of the whole machine")
	case len(all) == 0:
		fmt.Fprintln(a.Err, "gizmo: no container runs yet, and only the events of containers are shown; --host shows those of the whole machine")
	default:
		fmt.Fprintf(a.Err, "gizmo: none of the %d containers that run is selected; those that start later may be\n", len(all))
	}
}

// startKeeper begins to look for containers, and returns a function that waits until all runtimes have been asked.
func startKeeper(k *container.Keeper) (wait func()) {
	started := make(chan struct{})
	go func() {
		k.Start()
		close(started)
	}()
	return func() {
		select {
		case <-started:
		case <-time.After(2 * container.Patience):
		}
	}
}
