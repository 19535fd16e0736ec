// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gizmo-ebpf/gizmo/internal/safefile"
)

// buildName is the file that says which files a gadget is made of, and maxBuildFile how long it may be, in bytes.
const (
	buildName    = "build.yaml"
	maxBuildFile = 1 << 20
)

// parts are the files that a gadget is made of, below its folder.
type parts struct {
	source, metadata string
	// ownSource: the build file names the source, so it must be there.
	ownSource bool
	// wasm is a Wasm module; empty: there is none.
	wasm string
	// ignored says what of the build file has no effect.
	ignored []string
}

// readParts reads a build file. Without a path it is the one in the folder, which need not be there.
func readParts(dir, path string) (*parts, error) {
	p := &parts{source: sourceName, metadata: metadataName}
	name := path
	if name == "" {
		name = filepath.Join(dir, buildName)
	}
	text, err := safefile.Read(name, buildName, maxBuildFile)
	if errors.Is(err, fs.ErrNotExist) && path == "" {
		return p, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the build file: %w", err)
	}
	if err := p.parse(text); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// parse sets what the text says. Nothing of it is ever executed.
func (p *parts) parse(text []byte) error {
	var keys map[string]yaml.Node
	if err := yaml.Unmarshal(text, &keys); err != nil {
		return err
	}
	for key, node := range keys {
		var value string
		into := map[string]*string{"ebpfsource": &p.source, "metadata": &p.metadata, "wasm": &p.wasm}[strings.ToLower(key)]
		if into == nil {
			p.ignored = append(p.ignored, fmt.Sprintf("%s: gizmo does not know the key %q, so it has no effect", buildName, key))
			continue
		}
		if err := node.Decode(&value); err != nil {
			return err
		}
		if value == "" {
			continue
		}
		if value[0] == '-' || value[0] == '@' || !filepath.IsLocal(value) {
			return fmt.Errorf("line %d: %s: %q is no path below the folder of the gadget", node.Line, key, value)
		}
		*into = filepath.Clean(value)
		p.ownSource = p.ownSource || into == &p.source
	}
	if p.wasm != "" && filepath.Ext(p.wasm) != ".wasm" {
		p.ignored = append(p.ignored, fmt.Sprintf("%s: gizmo does not compile Wasm modules, so the gadget has none: %s", buildName, p.wasm))
		p.wasm = ""
	}
	slices.Sort(p.ignored)
	return nil
}
