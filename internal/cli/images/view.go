// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package images

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"github.com/theory/jsonpath"
	"go.yaml.in/yaml/v3"
)

// View is what "image inspect" is to show of a gadget, and how.
type View struct {
	mode, part, path string
	diagram          bool
}

// Register adds the flags.
func (v *View) Register(fs *pflag.FlagSet) {
	fs.StringVarP(&v.mode, "output", "o", "", "output mode: text, json, jsonpretty, yaml, mermaid; default: text, or jsonpretty for --jsonpath and --extra-info")
	fs.BoolVar(&v.diagram, "diagram", false, "show the programs and the maps that they use as a diagram of Mermaid: -o mermaid")
	fs.StringVar(&v.part, "extra-info", "", "show this part only: "+strings.Join(slices.Sorted(maps.Keys(parts())), ", "))
	fs.StringVar(&v.path, "jsonpath", "", "show only what this path (RFC 9535) selects of the JSON; it may begin with $: Programs[*].Name")
}

// Write writes what is to be shown of a gadget.
func (v *View) Write(w io.Writer, d *Description) error {
	if v.part == "" && v.path == "" {
		mode := v.mode
		switch {
		case v.diagram:
			mode = "mermaid"
		case mode == "":
			mode = "text"
		}
		return d.Write(w, mode)
	}
	var value any = d
	if v.part != "" {
		of, ok := parts()[v.part]
		if !ok {
			return fmt.Errorf("--extra-info: want one of %s, got %q", strings.Join(slices.Sorted(maps.Keys(parts())), ", "), v.part)
		}
		if value = of(d); value == nil {
			return fmt.Errorf("--extra-info: the gadget has no %s", v.part)
		}
	}
	if v.path != "" {
		var err error
		if value, err = selected(value, v.path); err != nil {
			return fmt.Errorf("--jsonpath: %w", err)
		}
	}
	if text, ok := value.(string); ok && v.mode == "" { // for scripts: as it is
		_, err := io.WriteString(w, strings.TrimSuffix(text, "\n")+"\n")
		return err
	}
	mode := v.mode
	if mode == "" {
		mode = "jsonpretty"
	}
	return writeValue(w, value, mode)
}

// writeValue writes a value in a mode for data.
func writeValue(w io.Writer, value any, mode string) error {
	switch mode {
	case "json", "jsonpretty":
		return writeJSON(w, value, mode == "jsonpretty")
	case "yaml":
		plain, err := asJSON(value) // which has the names of the JSON
		if err != nil {
			return err
		}
		encoder := yaml.NewEncoder(w)
		encoder.SetIndent(2)
		return encoder.Encode(plain)
	}
	return fmt.Errorf("--output: want json, jsonpretty or yaml for a part of the description, got %q", mode)
}

// asJSON returns a value as its JSON is read again. Numbers stay exact.
func asJSON(value any) (plain any, err error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return plain, yaml.Unmarshal(text, &plain) // JSON is YAML
}

// selected returns what a path selects of a value's JSON: the value itself if it is one, or else a list.
func selected(value any, path string) (any, error) {
	if !strings.HasPrefix(path, "$") {
		if !strings.HasPrefix(path, "[") && !strings.HasPrefix(path, ".") {
			path = "." + path
		}
		path = "$" + path
	}
	p, err := jsonpath.Parse(path)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var plain any
	if err := decoder.Decode(&plain); err != nil {
		return nil, err
	}
	nodes := p.Select(plain)
	switch len(nodes) {
	case 0:
		return nil, fmt.Errorf("%q selects nothing", path)
	case 1:
		return nodes[0], nil
	}
	return []any(nodes), nil
}
