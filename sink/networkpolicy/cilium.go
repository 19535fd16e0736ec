// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package networkpolicy

import (
	"slices"
	"strconv"
)

// What Cilium calls a CiliumNetworkPolicy of cilium.io/v2, as far as policies here use it.

type ciliumPolicy struct {
	APIVersion string     `yaml:"apiVersion"`
	Kind       string     `yaml:"kind"`
	Metadata   metadata   `yaml:"metadata"`
	Spec       ciliumSpec `yaml:"spec"`
}

type ciliumSpec struct {
	EndpointSelector selector `yaml:"endpointSelector"`
	// A rule without members allows nothing; without any rule Cilium would allow everything in that direction.
	Ingress []ciliumRule `yaml:"ingress"`
	Egress  []ciliumRule `yaml:"egress"`
}

// ciliumRule has either endpoints or networks.
type ciliumRule struct {
	FromEndpoints []selector    `yaml:"fromEndpoints,omitempty"`
	FromCIDR      []string      `yaml:"fromCIDR,omitempty"`
	ToEndpoints   []selector    `yaml:"toEndpoints,omitempty"`
	ToCIDR        []string      `yaml:"toCIDR,omitempty"`
	ToPorts       []ciliumPorts `yaml:"toPorts,omitempty"`
}

type ciliumPorts struct {
	Ports []ciliumPort `yaml:"ports"`
}

type ciliumPort struct {
	Port     string `yaml:"port"`
	Protocol string `yaml:"protocol"`
}

const (
	// ciliumNamespaceLabel is the label by which Cilium knows the namespace of a pod.
	ciliumNamespaceLabel = "k8s:io.kubernetes.pod.namespace"
	// ciliumMaxPorts is the largest number of ports of a list, by the definition of the resource.
	ciliumMaxPorts = 40
)

func ciliumPolicyOf(w *workload) any {
	p := ciliumPolicy{
		APIVersion: "cilium.io/v2", Kind: "CiliumNetworkPolicy", Metadata: metadata{w.name, w.namespace},
		Spec: ciliumSpec{EndpointSelector: selector{mapOf(w.labels)}},
	}
	for i := range w.ingress {
		r := &w.ingress[i]
		pods, networks := ciliumPeersOf(w, r.peers)
		p.Spec.Ingress = appendCilium(p.Spec.Ingress, ciliumRule{FromEndpoints: pods}, ciliumRule{FromCIDR: networks}, r.ports, len(pods), len(networks))
	}
	for i := range w.egress {
		r := &w.egress[i]
		pods, networks := ciliumPeersOf(w, r.peers)
		p.Spec.Egress = appendCilium(p.Spec.Egress, ciliumRule{ToEndpoints: pods}, ciliumRule{ToCIDR: networks}, r.ports, len(pods), len(networks))
	}
	for _, list := range []*[]ciliumRule{&p.Spec.Ingress, &p.Spec.Egress} {
		if len(*list) == 0 {
			*list = []ciliumRule{{}}
		}
	}
	return &p
}

// appendCilium appends those of the two rules that have peers, with the ports.
func appendCilium(list []ciliumRule, pods, networks ciliumRule, ports []port, podCount, networkCount int) []ciliumRule {
	to := ciliumPortsOf(ports)
	if podCount > 0 {
		pods.ToPorts = to
		list = append(list, pods)
	}
	if networkCount > 0 {
		networks.ToPorts = to
		list = append(list, networks)
	}
	return list
}

func ciliumPeersOf(w *workload, peers []peer) (pods []selector, networks []string) {
	for _, p := range peers {
		if p.pods == nil {
			networks = append(networks, cidrOf(p.addr))
			continue
		}
		labels := mapOf(p.pods.labels)
		if p.pods.namespace != w.namespace {
			labels[ciliumNamespaceLabel] = p.pods.namespace
		}
		pods = append(pods, selector{labels})
	}
	return pods, networks
}

func ciliumPortsOf(ports []port) []ciliumPorts {
	var lists []ciliumPorts
	for some := range slices.Chunk(ports, ciliumMaxPorts) {
		var list ciliumPorts
		for _, p := range some {
			list.Ports = append(list.Ports, ciliumPort{strconv.Itoa(int(p.number)), p.protocol.name()})
		}
		lists = append(lists, list)
	}
	return lists
}
