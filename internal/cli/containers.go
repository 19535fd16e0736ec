// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/container/runtimes"
	"github.com/gizmo-ebpf/gizmo/container/starts"
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
		f.criteria[c.Name] = fs.StringP(c.Name, short, "", fmt.Sprintf("show only containers by the %s: %s; ! excludes", c.Doc, c.Example))
	}
	var names []string
	for _, k := range runtimes.Kinds() {
		names = append(names, k.Name)
		f.sockets[k.Name] = fs.String(k.Flag, k.Socket, "where "+k.Name+" is asked")
	}
	fs.StringSliceVarP(&f.runtimes, "runtimes", "r", nil, "container runtimes to ask: "+strings.Join(names, ",")+"; without it, all of them")
}

// containersOf is the containers of this machine while a command runs.
type containersOf struct {
	options *run.Containers
	keeper  *container.Keeper
	starts  *starts.Watcher // nil: containers are seen when their runtimes tell of them
	started chan struct{}   // closed when all runtimes have been asked
}

// lookForContainers begins to look for the containers that the flags say.
func (a *app) lookForContainers(f *containerFlags, host bool) (*containersOf, error) {
	selector, err := container.NewSelector(given(f.criteria))
	if err != nil {
		return nil, fmt.Errorf("--%w", err)
	}
	clients, err := runtimes.Open(f.runtimes, given(f.sockets))
	if err != nil {
		return nil, fmt.Errorf("--runtimes: %w", err)
	}
	set := container.NewSet(nodeName())
	keeper, err := container.NewKeeper(set, a.logger, clients...)
	if err != nil {
		return nil, err
	}
	c := &containersOf{
		options: &run.Containers{Set: set, Selector: selector, Host: host, Kubernetes: container.OnKubernetes()},
		keeper:  keeper, started: make(chan struct{}),
	}
	c.starts = a.watchStarts(keeper)
	go func() {
		defer close(c.started)
		keeper.Start()
	}()
	return c, nil
}

// watchStarts has containers seen before they run, where the kernel can do that.
func (a *app) watchStarts(keeper *container.Keeper) *starts.Watcher {
	w, err := starts.Watch(starts.Options{Log: a.logger, Created: func(ctx context.Context, id container.Identity) {
		if err := keeper.Created(ctx, id); err != nil {
			a.logger.Debug("a container that was created", "err", err)
		}
	}})
	if err != nil {
		a.logger.Debug("containers are seen when their runtimes tell of them, which is after they have started", "err", err)
		return nil
	}
	a.logger.Debug("containers are seen before they start", "watched", starts.Binaries())
	return w
}

// wait returns when all runtimes have answered, failed, or had their time.
func (c *containersOf) wait() { <-c.started }

func (c *containersOf) close() error {
	c.wait()
	var err error
	if c.starts != nil {
		err = c.starts.Close()
	}
	err = errors.Join(err, c.keeper.Close())
	c.options.Set.Close()
	return err
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

// sayWhoIsThere says why no event may come: no runtime was found, there are no containers, or none is selected.
func (a *app) sayWhoIsThere(c *containersOf) {
	if c.options.Host {
		return
	}
	all := c.options.Set.All()
	for _, one := range all {
		if c.options.Selector.Matches(one) {
			return
		}
	}
	switch {
	case len(c.keeper.Connected()) == 0:
		fmt.Fprintln(a.Err, "gizmo: no container runtime was found, and only the events of containers are shown; --host shows those of the whole machine")
	case len(all) == 0:
		fmt.Fprintln(a.Err, "gizmo: no container runs yet, and only the events of containers are shown; --host shows those of the whole machine")
	default:
		fmt.Fprintf(a.Err, "gizmo: none of the %d containers that run is selected; those that start later may be\n", len(all))
	}
}
