// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package containers

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/pflag"

	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/encode"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/internal/outlet"
	stage "github.com/gizmo-ebpf/gizmo/stage/container"
)

// ListFlags say how containers are listed.
type ListFlags struct {
	mode, fields string
	watch        bool
}

// Register adds the flags to fs.
func (f *ListFlags) Register(fs *pflag.FlagSet) {
	fs.StringVarP(&f.mode, "output", "o", "columns", "output mode: "+strings.Join(encode.NamesOf(encode.Formats()), ", "))
	fs.StringVar(&f.fields, "fields", "", "fields to show: a,b exactly these; +a,-b relative to the default")
	fs.BoolVarP(&f.watch, "watch", "w", false, "continue, and show each container that starts or ends")
}

// Watches reports whether the list continues with the containers that start and end.
func (f *ListFlags) Watches() bool { return f.watch }

// List is an output for containers, one row each. The rows have the fields that events have, too.
type List struct {
	w      io.Writer
	from   *Containers
	watch  bool
	enc    encode.Encoder
	schema *event.Schema
	fields event.Column
	change event.Column // with watch: whether the container starts or ends
	texts  event.Texts  // of change
	batch  event.Batch
}

// NewList prepares a list that goes to w. It returns an error if the flags are wrong.
func NewList(w io.Writer, from *Containers, f *ListFlags) (*List, error) {
	format, err := encode.Lookup(f.mode)
	if err != nil {
		return nil, fmt.Errorf("--output: %w", err)
	}
	l := &List{w: w, from: from, watch: f.watch, schema: &event.Schema{Name: "containers", Single: f.watch}}
	if f.watch {
		l.change = l.schema.AddColumn(event.Field{Name: "event", Kind: event.String, Parent: event.NoParent, Table: &l.texts})
	}
	shown := shownFields(from.Kubernetes)
	l.fields = stage.AddFields(l.schema, from.Set, func(field container.Field) bool { return slices.Contains(shown, field.Name) })
	if id, ok := l.schema.Lookup("runtime.containerId"); ok {
		l.schema.Fields[id].Ann.Columns.Width = container.IDWidth
	}
	var chosen []int
	if f.fields != "" {
		if chosen, err = encode.Select(l.schema, f.fields, encode.DefaultFields(l.schema, format)); err != nil {
			return nil, fmt.Errorf("--fields: %w", err)
		}
	}
	l.enc, err = format.Bind(l.schema, encode.Options{Fields: chosen, Width: outlet.Width(w)})
	return l, err
}

// shownFields returns the fields that are columns by default.
func shownFields(kubernetes bool) []string {
	if kubernetes {
		return []string{"k8s.namespace", "k8s.podName", "k8s.containerName", "runtime.runtimeName", "runtime.containerId", "runtime.containerImageName"}
	}
	return []string{"runtime.runtimeName", "runtime.containerName", "runtime.containerId", "runtime.containerImageName", "runtime.containerPid"}
}

// Run writes the containers that run. With watch, it then writes each one that starts or ends, until ctx is done.
func (l *List) Run(ctx context.Context) error {
	if !l.watch {
		return l.writeAll()
	}
	if _, err := l.w.Write(l.enc.Head(nil)); err != nil {
		return err
	}
	failed := make(chan error, 1)
	var once sync.Once
	stop := l.from.Set.Subscribe(func(n container.Notice) {
		if n.Was != nil && !n.Ended || !l.from.Selector.Shows(n.Container) {
			return
		}
		if err := l.writeChange(n); err != nil {
			once.Do(func() { failed <- err })
		}
	})
	defer stop()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return nil
	}
}

// writeAll writes the containers that run now, in the order of their runtimes and names.
func (l *List) writeAll() error {
	var all []container.Notice
	l.from.Set.Subscribe(func(n container.Notice) {
		if l.from.Selector.Shows(n.Container) {
			all = append(all, n)
		}
	})()
	l.reset(len(all))
	handles := l.fields.Fill(&l.batch)
	for i := range all {
		handles[i] = all[i].Handle
	}
	return l.write(l.enc.Head(nil))
}

// writeChange writes a container that has started or ended.
func (l *List) writeChange(n container.Notice) error {
	change := "CREATED"
	if n.Ended {
		change = "DELETED"
	}
	l.reset(1)
	l.change.Fill(&l.batch)[0] = l.texts.Handle(change)
	l.fields.Fill(&l.batch)[0] = n.Handle
	return l.write(nil)
}

// reset makes the batch one of n rows without bytes: all values are in columns.
func (l *List) reset(n int) {
	l.batch.Reset(l.schema)
	for range n {
		l.batch.Rows = append(l.batch.Rows, nil)
	}
}

func (l *List) write(text []byte) error {
	_, err := l.w.Write(l.enc.Append(text, &l.batch))
	return err
}
