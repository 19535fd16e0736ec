// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"runtime"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/internal/cli/containers"
	"github.com/gizmo-ebpf/gizmo/internal/plain"
	"github.com/gizmo-ebpf/gizmo/run"
	"github.com/gizmo-ebpf/gizmo/semtype"
	"github.com/gizmo-ebpf/gizmo/stage/stack"
)

// addUsualCommands adds the library's help and completion, but makes unknown names of commands
// errors.
func addUsualCommands(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			cmd.Args = knownCommand
		case "completion":
			cmd.Args = noArgs
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
}

// knownCommand rejects arguments of help that name no command, and suggests the nearest command if there is one.
func knownCommand(help *cobra.Command, args []string) error {
	cmd, rest, err := help.Root().Find(args)
	if err != nil || !cmd.HasSubCommands() {
		return err
	}
	return noArgs(cmd, rest)
}

// gadgetHelp describes a gadget: what it shows, its flags, its fields.
func (a *app) gadgetHelp(cmd *cobra.Command, img *image.Image) error {
	fmt.Fprintf(a.page, "%s: %s\n\nUsage:\n  %s\n\nFlags:\n%s%s", plain.Line(img.Metadata.Name), plain.Line(img.Metadata.Description),
		cmd.UseLine(), cmd.LocalFlags().FlagUsages(), cmd.InheritedFlags().FlagUsages())
	for i := range img.DataSources {
		d := &img.DataSources[i]
		if err := describe(a.page, d.Schema.Clone(), d.Annotations); err != nil {
			return err
		}
	}
	s, annotations, err := run.ContainersSource(img)
	if s == nil {
		return err
	}
	return describe(a.page, s, annotations)
}

// completed returns a schema with all fields that gizmo can add.
func completed(s *event.Schema, annotations *annotation.Spec) (*event.Schema, error) {
	stages := append(containers.Stages(), stack.New(stack.Options{}))
	return s, run.Compose(s, annotations, &semtype.Env{Arch: runtime.GOARCH}, stages)
}

// describe completes a schema and prints its fields.
func describe(w io.Writer, s *event.Schema, annotations *annotation.Spec) error {
	s, err := completed(s, annotations)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\nFields of data source %q (those in brackets are shown only if --fields names them):\n", s.Name)
	return printFields(w, s)
}

func printFields(w io.Writer, s *event.Schema) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.Kind == event.Struct && f.Text == nil {
			continue
		}
		name := plain.Text(f.Name)
		if f.Ann.Columns.Hidden {
			name = "[" + name + "]"
		}
		fmt.Fprintf(tw, "  %s\t%s\t%s\n", name, f.Kind, plain.Line(f.Ann.Description))
	}
	return tw.Flush()
}
