// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/encode"
	"github.com/gizmo-ebpf/gizmo/event"
	stage "github.com/gizmo-ebpf/gizmo/stage/container"
)

// listFlags are those of list-containers.
type listFlags struct {
	containers   containerFlags
	mode, fields string
	watch        bool
}

func (a *app) listContainersCommand() *cobra.Command {
	var f listFlags
	cmd := &cobra.Command{
		Use:   "list-containers",
		Short: "List the containers that gizmo finds",
		Long: "Lists the containers that run on this machine, as gizmo knows them: what a run can select, and what\n" +
			"its events can show. With --watch it goes on and shows each container that starts or ends.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.listContainers(cmd.Context(), &f) },
	}
	fs := cmd.Flags()
	var names []string
	for _, format := range encode.Formats() {
		names = append(names, format.Name)
	}
	fs.StringVarP(&f.mode, "output", "o", "columns", "output mode: "+strings.Join(names, ", "))
	fs.StringVar(&f.fields, "fields", "", "fields to show: a,b exactly these; +a,-b relative to the default")
	fs.BoolVarP(&f.watch, "watch", "w", false, "go on, and show each container that starts or ends")
	f.containers.register(fs)
	fs.SortFlags = false
	return cmd
}

// listContainers writes the containers that there are and, with --watch, those that come and go.
func (a *app) listContainers(ctx context.Context, f *listFlags) (err error) {
	containers, err := a.lookForContainers(&f.containers, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, containers.close()) }()
	list, err := a.newContainerList(f, containers.options.Set, containers.options.Kubernetes)
	if err != nil {
		return err
	}
	containers.wait()
	a.sayWhoIsThere(containers)
	selected := func(c *container.Container) bool {
		return !c.Pod.Sandbox && containers.options.Selector.Matches(c)
	}
	if !f.watch {
		return list.all(selected)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var once sync.Once
	if _, err := a.Out.Write(list.enc.Head(nil)); err != nil {
		return err
	}
	defer containers.options.Set.Subscribe(func(n container.Notice) {
		if !selected(n.Container) || n.Was != nil && !n.Ended {
			return
		}
		if writeErr := list.change(n); writeErr != nil {
			once.Do(func() { err = writeErr; cancel() })
		}
	})()
	<-ctx.Done()
	return err
}

// containerList writes containers as rows of a data source.
type containerList struct {
	a       *app
	set     *container.Set
	schema  *event.Schema
	enc     encode.Encoder
	fields  event.Column
	what    event.Column // of a list that goes on
	changes event.Texts
	batch   event.Batch
}

// newContainerList prepares the output; what is wrong with the flags is an error.
func (a *app) newContainerList(f *listFlags, set *container.Set, kubernetes bool) (*containerList, error) {
	format, err := encode.Lookup(f.mode)
	if err != nil {
		return nil, err
	}
	l := &containerList{a: a, set: set, schema: &event.Schema{Name: "containers", Single: f.watch}}
	if f.watch {
		l.what = l.schema.AddColumn(event.Field{Name: "event", Kind: event.String, Parent: event.NoParent, Table: &l.changes})
	}
	l.fields = stage.AddFields(l.schema, set, func(field container.Field) bool { return isListed(field.Name, kubernetes) })
	var chosen []int
	if f.fields != "" {
		if chosen, err = encode.Select(l.schema, f.fields, encode.DefaultFields(l.schema, format)); err != nil {
			return nil, err
		}
	}
	l.enc, err = format.Bind(l.schema, encode.Options{Fields: chosen})
	return l, err
}

// isListed reports whether a field is a column of the list by itself.
func isListed(name string, kubernetes bool) bool {
	list := []string{"runtime.runtimeName", "runtime.containerName", "runtime.containerId", "runtime.containerImageName", "runtime.containerPid"}
	if kubernetes {
		list = []string{"k8s.namespace", "k8s.podName", "k8s.containerName", "runtime.runtimeName", "runtime.containerId", "runtime.containerImageName"}
	}
	return slices.Contains(list, name)
}

// all writes the containers that run now.
func (l *containerList) all(selected func(*container.Container) bool) error {
	var all []container.Notice
	l.set.Subscribe(func(n container.Notice) {
		if selected(n.Container) {
			all = append(all, n)
		}
	})()
	slices.SortFunc(all, func(a, b container.Notice) int { return a.Compare(b.Container) })
	l.rows(len(all))
	handles := l.fields.Fill(&l.batch)
	for i := range all {
		handles[i] = all[i].Handle
	}
	return l.write(l.enc.Head(nil))
}

// change writes a container that has started or ended.
func (l *containerList) change(n container.Notice) error {
	what := "CREATED"
	if n.Ended {
		what = "DELETED"
	}
	l.rows(1)
	l.what.Fill(&l.batch)[0] = l.changes.Handle(what)
	l.fields.Fill(&l.batch)[0] = n.Handle
	return l.write(nil)
}

// rows makes a batch of rows without bytes: all that is shown stands in columns.
func (l *containerList) rows(n int) {
	l.batch.Reset(l.schema)
	for range n {
		l.batch.Rows = append(l.batch.Rows, nil)
	}
}

func (l *containerList) write(text []byte) error {
	_, err := l.a.Out.Write(l.enc.Append(text, &l.batch))
	return err
}
