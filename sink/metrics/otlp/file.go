// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package otlp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/gizmo-ebpf/gizmo/internal/nearest"
	"github.com/gizmo-ebpf/gizmo/internal/safefile"
)

const (
	maxFile = 1 << 20
	// section is where the exporters are in a file, and below is the part of the file that is theirs alone.
	section = "operator.otel-metrics.exporters"
	below   = "operator.otel-metrics"
)

// ReadConfig reads the exporters of a configuration file by their names, in small letters:
//
//	operator:
//	  otel-metrics:
//	    exporters:
//	      NAME:
//	        exporter: otlp-grpc
//	        endpoint: collector.example:4317
//
// Keys are the same in capitals and small letters, and may be written with dots: "operator.otel-metrics". The rest of the file may have
// anything. Relative names of files are below the folder of the file.
func ReadConfig(path string) (map[string]Config, error) {
	data, err := safefile.Read(path, "a configuration", maxFile)
	if err != nil {
		return nil, err
	}
	return parse(path, data)
}

// file is a configuration that is being read.
type file struct {
	path      string
	exporters map[string]*entry
	names     []string // in their order
	errs      []error
}

// entry is an exporter in a file.
type entry struct {
	config Config
	line   int
	lines  map[string]int // of its settings, by their whole names
}

func parse(path string, data []byte) (map[string]Config, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	if err := decoder.Decode(&doc); errors.Is(err, io.EOF) {
		return map[string]Config{}, nil
	} else if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: want one document of YAML", path)
	}
	f := &file{path: path, exporters: make(map[string]*entry)}
	f.walk("", doc.Content[0])
	all := make(map[string]Config, len(f.exporters))
	for _, name := range f.names {
		e := f.exporters[name]
		f.check(e)
		all[name] = e.config
	}
	if err := errors.Join(f.errs...); err != nil {
		return nil, err
	}
	return all, nil
}

func (f *file) fail(line int, format string, args ...any) {
	f.errs = append(f.errs, fmt.Errorf("%s:%d: "+format, append([]any{f.path, line}, args...)...))
}

// pairs calls visit for the keys and values of a mapping. A value that is missing is one without keys.
func (f *file) pairs(what string, n *yaml.Node, visit func(key, value *yaml.Node)) {
	n = resolve(n)
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
	case n.Kind != yaml.MappingNode:
		f.fail(n.Line, "%s: want keys and values", what)
	default:
		for i := 0; i+1 < len(n.Content); i += 2 {
			visit(n.Content[i], resolve(n.Content[i+1]))
		}
	}
}

// resolve returns the node that an alias stands for.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// walk goes down to the exporters. The path is that of the mapping n. It gets longer with each step, so that aliases that contain
// themselves come to an end.
func (f *file) walk(path string, n *yaml.Node) {
	f.pairs(path, n, func(key, value *yaml.Node) {
		full := key.Value
		if path != "" {
			full = path + "." + full
		}
		// The names of exporters' attributes are as they are written.
		switch lower := strings.ToLower(full); {
		case lower == section:
			f.pairs(lower, value, func(name, settings *yaml.Node) { f.exporter(name, name.Value, settings) })
		case strings.HasPrefix(lower, section+"."):
			f.exporter(key, full[len(section)+1:], value)
		case strings.HasPrefix(section, lower+"."):
			f.walk(lower, value)
		case strings.HasPrefix(lower, below+"."):
			f.fail(key.Line, "unknown key %q; gizmo knows %s", full, section)
		}
	})
}

// exporter reads one exporter: NAME, or one setting of it, NAME.KEY.
func (f *file) exporter(key *yaml.Node, name string, value *yaml.Node) {
	name, setting, single := strings.Cut(name, ".")
	name = strings.ToLower(name)
	if name == "" {
		f.fail(key.Line, "an exporter without a name")
		return
	}
	e := f.exporters[name]
	if e == nil {
		e = &entry{config: Config{Name: name}, line: key.Line, lines: make(map[string]int)}
		f.exporters[name], f.names = e, append(f.names, name)
	}
	if single {
		f.setting(e, key, setting, value)
		return
	}
	f.pairs("exporter "+name, value, func(key, value *yaml.Node) { f.setting(e, key, key.Value, value) })
}

// setting reads KEY of an exporter, or KEY.NAME for one of its headers or attributes.
func (f *file) setting(e *entry, key *yaml.Node, name string, value *yaml.Node) {
	name, member, isMember := strings.Cut(name, ".")
	name = strings.ToLower(name)
	into, known := e.config.lists()[name]
	switch {
	case known && isMember:
		f.member(e, key, name, member, value, into)
	case known:
		f.pairs(e.config.Name+": "+name, value, func(key, value *yaml.Node) { f.member(e, key, name, key.Value, value, into) })
	case isMember:
		f.unknown(e, key, name+"."+member)
	case !slices.ContainsFunc(settings(), func(known string) bool { return strings.EqualFold(name, known) }):
		f.unknown(e, key, name)
	default:
		if text, ok := f.scalar(e, key, name, value); ok {
			f.set(e, key, name, text)
		}
	}
}

// lists are the settings that have names and values.
func (c *Config) lists() map[string]*map[string]string {
	return map[string]*map[string]string{"headers": &c.Headers, "resource": &c.Resource}
}

func (f *file) member(e *entry, key *yaml.Node, list, name string, value *yaml.Node, into *map[string]string) {
	if list == "headers" {
		name = strings.ToLower(name)
	}
	text, ok := f.scalar(e, key, list+"."+name, value)
	if !ok {
		return
	}
	if *into == nil {
		*into = make(map[string]string)
	}
	(*into)[name] = text
	if e.lines[list] == 0 {
		e.lines[list] = key.Line
	}
}

// scalar returns the text of a setting that occurs once.
func (f *file) scalar(e *entry, key *yaml.Node, name string, value *yaml.Node) (string, bool) {
	if line, twice := e.lines[name]; twice {
		f.fail(key.Line, "exporter %q: %s is in line %d already", e.config.Name, name, line)
		return "", false
	}
	e.lines[name] = key.Line
	if value.Kind != yaml.ScalarNode || value.Tag == "!!null" {
		f.fail(key.Line, "exporter %q: %s: want a value", e.config.Name, name)
		return "", false
	}
	return value.Value, true
}

// settings are the keys of an exporter.
func settings() []string {
	return []string{
		"exporter", "endpoint", "insecure", "ca", "cert", "key", "servername", "headers", "compression", "temporality", "interval", "timeout",
		"resource", "collectGoMetrics", "collectIGMetrics",
	}
}

func (f *file) unknown(e *entry, key *yaml.Node, name string) {
	f.fail(key.Line, "exporter %q: unknown key %q%s", e.config.Name, name, nearest.Hint(name, settings()))
}

// set reads a setting with one value.
func (f *file) set(e *entry, key *yaml.Node, name, text string) {
	c := &e.config
	texts := map[string]*string{
		"exporter": &c.Exporter, "endpoint": &c.Endpoint, "temporality": &c.Temporality, "servername": &c.ServerName,
		"ca": &c.CA, "cert": &c.Cert, "key": &c.Key,
	}
	flags := map[string]*bool{"insecure": &c.Insecure, "collectgometrics": &c.GoMetrics, "collectigmetrics": &c.OwnMetrics}
	times := map[string]*time.Duration{"interval": &c.Interval, "timeout": &c.Timeout}
	var err error
	switch {
	case texts[name] != nil:
		*texts[name] = text
		if isFile := name == "ca" || name == "cert" || name == "key"; isFile && text != "" && !filepath.IsAbs(text) {
			*texts[name] = filepath.Join(filepath.Dir(f.path), text)
		}
	case flags[name] != nil:
		*flags[name], err = readBool(text)
	case times[name] != nil:
		if *times[name], err = time.ParseDuration(text); err != nil || *times[name] <= 0 {
			*times[name], err = 0, fmt.Errorf("%q: want a time such as 30s", text)
		}
	case name == "compression":
		if c.Gzip = text == "gzip"; !c.Gzip && text != "none" {
			err = fmt.Errorf("%q: want gzip or none", text)
		}
	}
	if err != nil {
		f.fail(key.Line, "exporter %q: %s %w", c.Name, name, err)
	}
}

func readBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%q: want true or false", text)
}

// check finds what is missing, and settings that have wrong values or contradict each other.
func (f *file) check(e *entry) {
	checked := e.config
	_, problems := checked.check()
	for _, p := range problems {
		line, ok := e.lines[p.setting]
		if !ok {
			line = e.line
		}
		f.fail(line, "exporter %q: %w", e.config.Name, p.err)
	}
}
