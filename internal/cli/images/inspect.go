// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package images

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/internal/plain"
	"github.com/gizmo-ebpf/gizmo/oci"
)

// Description is what "image inspect" shows of a gadget. The names of its members are those of the JSON.
type Description struct {
	Name, Description string
	HomepageURL       string `json:",omitempty"`
	DocumentationURL  string `json:",omitempty"`
	SourceURL         string `json:",omitempty"`
	// Of an image: its name, the digest of its index, whether a signature counts, and what it says about itself.
	Image       string            `json:",omitempty"`
	Digest      string            `json:",omitempty"`
	Signature   string            `json:",omitempty"`
	Annotations map[string]string `json:",omitempty"`
	// Compiler is the one that made the object.
	Compiler    string `json:",omitempty"`
	DataSources []describedSource
	Params      []describedParam
	Programs    []describedProgram
	Maps        []image.Map
	Wasm        *describedModule `json:",omitempty"`

	packed *oci.Image // nil: it is of no image
	seal   Seal
}

type describedSource struct {
	Name, Kind string
	Fields     []describedField
}

type describedField struct {
	Name, Type, Description string
	Hidden                  bool `json:",omitempty"`
}

type describedParam struct {
	Key, Variable, Default, Description string
	OneOf                               []string `json:",omitempty"`
	Mandatory                           bool     `json:",omitempty"`
}

type describedProgram struct {
	Name, Section string
	Instructions  int
	// Verified is what the program cost the verifiers of kernels, in instructions, if the image says so.
	Verified    []string `json:",omitempty"`
	Maps        []string `json:",omitempty"`
	Optional    bool     `json:",omitempty"`
	StandsInFor []string `json:",omitempty"`
}

// Describe returns the description of a gadget. Sources are its data sources with all fields that gizmo adds, module is its Wasm module, if it has one.
func Describe(ctx context.Context, img *image.Image, sources []*event.Schema, module []byte) *Description {
	m := img.Metadata
	d := &Description{
		Name: m.Name, Description: m.Description, HomepageURL: m.HomepageURL, DocumentationURL: m.DocumentationURL, SourceURL: m.SourceURL,
		Compiler: img.Compiler, Maps: img.Maps(),
	}
	for i, s := range sources {
		source := describedSource{Name: s.Name, Kind: img.DataSources[i].Kind.String()}
		for j := range s.Fields {
			f := &s.Fields[j]
			if f.Kind == event.Struct && f.Text == nil {
				continue
			}
			source.Fields = append(source.Fields, describedField{f.Name, f.Kind.String(), f.Ann.Description, f.Ann.Columns.Hidden})
		}
		d.DataSources = append(d.DataSources, source)
	}
	for i := range img.Params {
		p := &img.Params[i]
		d.Params = append(d.Params, describedParam{p.Key, p.Var, p.Default, p.Description, p.OneOf, p.Mandatory})
	}
	users := make(map[string][]string)
	for _, m := range d.Maps {
		for _, program := range m.Programs {
			users[program] = append(users[program], m.Name)
		}
	}
	for i := range img.Programs {
		p := &img.Programs[i]
		if !p.Disabled {
			d.Programs = append(d.Programs, describedProgram{
				Name: p.Name, Section: p.Section, Instructions: img.Instructions(p.Name), Maps: users[p.Name], Optional: p.Optional, StandsInFor: p.StandsInFor,
			})
		}
	}
	if module != nil {
		d.Wasm = describeModule(ctx, module)
	}
	return d
}

// OfImage adds what the image says that a gadget was found in, and the store; that of an image that is not in the store is empty. Name is what the user
// has called it.
func (d *Description) OfImage(name string, img *oci.Image, seal Seal) {
	d.Image, d.Digest, d.Signature, d.Annotations, d.packed, d.seal = name, img.Index.Digest.String(), seal.Signature, img.Annotations, img, seal
	for i := range d.Programs {
		d.Programs[i].Verified = costsOf(img.Annotations, d.Programs[i].Name)
	}
}

// Write writes the description in a mode: text, json, jsonpretty, yaml or mermaid.
func (d *Description) Write(w io.Writer, mode string) error {
	switch mode {
	case "text":
		return d.writeText(w)
	case "json", "jsonpretty", "yaml":
		return writeValue(w, d, mode)
	case "mermaid":
		return d.writeDiagram(w)
	}
	return fmt.Errorf("--output: want text, json, jsonpretty, yaml or mermaid, got %q", mode)
}

func (d *Description) writeText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, line := range [][2]string{
		{"Name", d.Name}, {"Description", d.Description}, {"Image", d.Image}, {"Digest", d.Digest}, {"Signature", d.Signature},
		{"Homepage", d.HomepageURL}, {"Documentation", d.DocumentationURL}, {"Source", d.SourceURL}, {"Compiler", d.Compiler},
	} {
		if line[1] != "" {
			fmt.Fprintf(t, "%s:\t%s\n", line[0], plain.Line(line[1]))
		}
	}
	for _, s := range d.DataSources {
		fmt.Fprintf(t, "\nData source %q (%s):\n", s.Name, s.Kind)
		for _, f := range s.Fields {
			name := plain.Text(f.Name)
			if f.Hidden {
				name = "[" + name + "]"
			}
			fmt.Fprintf(t, "  %s\t%s\t%s\n", name, f.Type, plain.Line(f.Description))
		}
	}
	if len(d.Params) > 0 {
		fmt.Fprintf(t, "\nParams:\n")
	}
	for _, p := range d.Params {
		fmt.Fprintf(t, "  --%s\t%s\t%s\n", plain.Text(p.Key), plain.Text(p.Default), plain.Line(p.Description))
	}
	if len(d.Programs) > 0 {
		fmt.Fprintf(t, "\nPrograms:\n")
	}
	for _, p := range d.Programs {
		verified := ""
		if len(p.Verified) > 0 {
			verified = "; verified: " + plain.Line(strings.Join(p.Verified, ", "))
		}
		fmt.Fprintf(t, "  %s\t%s\t%d instructions%s\n", plain.Text(p.Name), plain.Text(p.Section), p.Instructions, verified)
	}
	if len(d.Maps) > 0 {
		fmt.Fprintf(t, "\nMaps:\n")
	}
	for _, m := range d.Maps {
		fmt.Fprintf(t, "  %s\t%s\t%s\tkey %d, value %d, entries %d\n", plain.Text(m.Name), m.Type, size(m.Bytes), m.KeySize, m.ValueSize, m.MaxEntries)
	}
	d.Wasm.writeText(t)
	return t.Flush()
}

// writeText writes what is known of a module, if there is one.
func (m *describedModule) writeText(w io.Writer) {
	if m == nil {
		return
	}
	fmt.Fprintf(w, "\nWasm module, %s:\n", size(uint64(m.Bytes)))
	if m.Invalid != "" {
		fmt.Fprintf(w, "  is not valid:\t%s\n", plain.Line(m.Invalid))
	}
	for _, f := range m.Imports {
		fmt.Fprintf(w, "  imports\t%s.%s\t%s\n", plain.Text(f.Module), plain.Text(f.Name), f.Type)
	}
	for _, f := range m.Exports {
		fmt.Fprintf(w, "  exports\t%s\t%s\n", plain.Text(f.Name), f.Type)
	}
}

// size returns a number of bytes for people.
func size(n uint64) string {
	switch {
	case n == 0:
		return "-"
	case n < 10<<10:
		return fmt.Sprintf("%d B", n)
	case n < 10<<20:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

// writeDiagram writes the programs and the maps that they use as a diagram of Mermaid.
func (d *Description) writeDiagram(w io.Writer) error {
	_, err := io.WriteString(w, d.flowchart())
	return err
}

func (d *Description) flowchart() string {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	for i, p := range d.Programs {
		fmt.Fprintf(&b, "  p%d[\"%s<br/>%s\"]\n", i, label(p.Name), label(p.Section))
	}
	for i, m := range d.Maps {
		fmt.Fprintf(&b, "  m%d[(\"%s<br/>%s\")]\n", i, label(m.Name), label(m.Type))
	}
	for i, p := range d.Programs {
		for j, m := range d.Maps {
			for _, user := range m.Programs {
				if user == p.Name {
					fmt.Fprintf(&b, "  p%d --- m%d\n", i, j)
				}
			}
		}
	}
	return b.String()
}

// label makes a text safe within a label of Mermaid.
func label(text string) string {
	return strings.NewReplacer(`"`, "#quot;", "<", "&lt;", ">", "&gt;", "#", "#35;").Replace(plain.Text(text))
}
