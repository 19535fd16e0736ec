// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metadata

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gizmo-ebpf/gizmo/annotation"
)

// Encode writes the metadata as YAML: the keys of each kind of mapping in a fixed order, names of
// things sorted. It leaves out empty values. Parsing the result gives the same metadata.
func (m *Metadata) Encode() ([]byte, error) {
	n := metadataShape().write(m)
	if n == nil {
		return nil, nil
	}
	return encodeNode(n)
}

func encodeNode(n *yaml.Node) ([]byte, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(n); err != nil {
		return nil, fmt.Errorf("gadget metadata: %w", err)
	}
	if err := e.Close(); err != nil {
		return nil, fmt.Errorf("gadget metadata: %w", err)
	}
	return b.Bytes(), nil
}

func newMapping() *yaml.Node { return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"} }

func addPair(n *yaml.Node, key string, value *yaml.Node) {
	n.Content = append(n.Content, newText(key), value)
}

// newText makes a node that is read back as exactly this text; it is quoted where it must be.
func newText(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s, Style: styleOf(s)}
}

// styleOf chooses quotes for texts of several lines with whitespace in places where the YAML library
// would lose it. For all others it leaves the choice to the library.
func styleOf(s string) yaml.Style {
	if strings.Contains(s, "\n") && oddSpace.MatchString(s) {
		return yaml.DoubleQuotedStyle
	}
	return 0
}

var oddSpace = regexp.MustCompile(`^\s|[ \t]\n|\t|\n\n$|[\x{85}\x{2028}\x{2029}\x{FEFF}]`)

// plainCopy copies a tree without comments and without the styles in which it was written.
func plainCopy(n *yaml.Node) *yaml.Node {
	out := &yaml.Node{Kind: n.Kind, Tag: n.Tag, Value: n.Value, Style: styleOf(n.Value)}
	for _, child := range n.Content {
		out.Content = append(out.Content, plainCopy(child))
	}
	return out
}

// newBare makes a node that is written without quotes.
func newBare(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: s} }

// newNothing makes a node that is written as nothing at all.
func newNothing() *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"} }

// newAnnotation leaves the quotes away where they only disturb: for switches and numbers.
func newAnnotation(s string) *yaml.Node {
	bare := boolValue.Check(s) == nil || annotation.Value{Kind: annotation.Whole, Max: 1 << 30}.Check(s) == nil
	if bare {
		return newBare(s)
	}
	return newText(s)
}
