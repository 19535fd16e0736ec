// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package annotation

import (
	"slices"
	"sync"

	"github.com/gizmo-ebpf/gizmo/event"
)

// Template is one row of a table: the annotations of a common kind of field.
type Template struct {
	// Name is how the template is written: "timestamp".
	Name string
	// Doc says which fields it is for.
	Doc string
	// Apply sets the annotations.
	Apply func(*event.Annotations)
}

// defaultWidth is the width of a template that says nothing else.
const defaultWidth = 16

// Templates returns the templates.
func Templates() []Template { return slices.Clone(templates()) }

// templates is the table itself, made once.
var templates = sync.OnceValue(func() []Template {
	return slices.Concat(kubernetesTemplates(), processTemplates(), valueTemplates())
})

func kubernetesTemplates() []Template {
	return []Template{
		{"node", "Name of a Kubernetes node.", style(width(30), cut(event.EllipsisMiddle))},
		{"pod", "Name of a pod.", style(width(30), cut(event.EllipsisMiddle))},
		{"container", "Name of a container.", style(width(30))},
		{"namespace", "Name of a Kubernetes namespace.", style(width(30))},
		{"containerImageName", "Name of a container's image.", style(width(30))},
		{"containerImageDigest", "Digest of a container's image.", style(width(30))},
		{"containerStartedAt", "Time at which a container was started.", style(width(35), hidden)},
	}
}

func processTemplates() []Template {
	id := func(least int, more ...change) func(*event.Annotations) {
		return style(append(more, minWidth(least), right)...)
	}
	return []Template{
		{"comm", "Name of a process.", style(describe("Process name"), atMost(16))},
		{"pcomm", "Name of a parent process.", style(describe("Parent process name"), atMost(16), hidden)},
		{"pid", "Id of a process.", id(7, describe("Process ID"))},
		{"tid", "Id of a thread.", id(7, describe("Thread ID"))},
		{"ppid", "Id of a parent process.", id(7, hidden, describe("Parent process ID"))},
		{"ptid", "Id of a parent process's thread.", id(7, hidden, describe("Parent thread ID"))},
		{"uid", "Id of a user.", id(8, describe("User ID"))},
		{"gid", "Id of a group.", id(8, describe("Group ID"))},
		{"ns", "Inode of a namespace.", style(width(12), right, hidden)},
		{"mntns_id", "Inode of a mount namespace.", style(width(12), right, hidden)},
		{"netns_id", "Inode of a network namespace.", style(width(12), right, hidden)},
		{"user_stack", "Stack trace of a process.", style(hidden)},
	}
}

func valueTemplates() []Template {
	return []Template{
		{"timestamp", "A point in time.", style(width(35), atMost(35), cut(event.EllipsisEnd), hidden)},
		{"l4endpoint", "Address and port.", style(width(40), minWidth(22), atMost(52), cut(event.EllipsisMiddle))},
		{"syscall", "Name of a system call.", style(width(18), atMost(28))},
		{"errorString", "Name of an error number.", style(width(12))},
		{"bytes", "Size in human-readable form.", style(width(10), right)},
		{"duration", "Duration in human-readable form.", style(width(20), right)},
	}
}

// change sets one annotation of a template.
type change func(*event.Annotations)

// style combines changes. Annotations that a template does not mention do not change, except the width.
func style(changes ...change) func(*event.Annotations) {
	return func(a *event.Annotations) {
		a.Columns.Width = defaultWidth
		for _, c := range changes {
			c(a)
		}
	}
}

func width(n int) change          { return func(a *event.Annotations) { a.Columns.Width = n } }
func minWidth(n int) change       { return func(a *event.Annotations) { a.Columns.MinWidth = n } }
func atMost(n int) change         { return func(a *event.Annotations) { a.Columns.MaxWidth = n } }
func cut(e event.Ellipsis) change { return func(a *event.Annotations) { a.Columns.Ellipsis = e } }
func describe(s string) change    { return func(a *event.Annotations) { a.Description = s } }
func right(a *event.Annotations)  { a.Columns.Align = event.AlignRight }
func hidden(a *event.Annotations) { a.Columns.Hidden = true }

func templateNames() []string {
	var names []string
	for _, t := range templates() {
		names = append(names, t.Name)
	}
	return names
}

func applyTemplate(a *event.Annotations, name string) error {
	for _, t := range templates() {
		if t.Name == name {
			t.Apply(a)
			return nil
		}
	}
	return &UnknownError{What: "template", Name: name, Known: templateNames()}
}
