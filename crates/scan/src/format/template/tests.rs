use crate::rules::{CHAT_TEMPLATE, TEMPLATE_UNREAD, TEMPLATE_UNSAFE};
use crate::{Limits, Scanner};

fn check(template: &str) -> &'static str {
    let text = serde_json::json!({ "chat_template": [{ "name": "default", "template": template }] }).to_string();
    let report = Scanner::new(Limits::default()).unwrap().scan("tokenizer_config.json", &text.into_bytes()).unwrap();
    assert_eq!(report.findings.len(), 1, "{template}: {:?}", report.findings);
    report.findings[0].rule.id
}

#[test]
fn what_people_read_is_not_judged() {
    for text in [
        "This is an important note. {{ messages[0].content }}",
        "When you answer the user's requests, you cite. {{ bos }}",
        "Describe yourself. {% for m in messages %}{{ m.role }}{% endfor %}",
        "{{ '<|tool__sep|>' }} __init__ {{ \"import\" }}",
        "{% set ns = namespace(found=false) %}{% for m in messages %}{{ m['content'] | trim }}{% endfor %}",
        "{{ raise_exception('roles must alternate user/assistant/...' + x) }}",
        "{% set index = (messages|length - 1) - loop.index0 %}{{ messages[index].content.split('</think>')[-1] }}",
        "{% macro t(spec) %}{% set basic = {'string': 'str'} %}{{ basic[spec.type] }}{% endmacro %}{{ t({'type': p.type}) }}",
        "{% for k in ['a', 'b'] %}{{ tool[k] ~ '\\n' }}{{ messages[loop.index0 + 1]['role'] }}{% endfor %}",
        "{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | list }}",
        "{{ message['role'] + '_' + message['content'][1:] if message.request is defined else '' }}",
    ] {
        assert_eq!(check(text), CHAT_TEMPLATE.id, "{text}");
    }
}

#[test]
fn what_reaches_for_the_internals_is_blocked() {
    for text in [
        "{{ ''.__class__ }}",
        "{{ ''['__class__'] }}",
        "{{ ''['__' 'class' '__'] }}",
        r"{{ ''['\137\137class\137\137'] }}",
        r"{{ ''|  attr('\x5F\x5Fclass\x5F\x5F') }}",
        "{{ ''|attr('x') }}",
        "{{ '{0.__class__}'.format(1) }}",
        "{% import 'x' as y %}",
        "{{ lipsum }}",
        "{{ self.x }}",
        "{{ [''] | map(attribute='__class__') }}",
    ] {
        assert_eq!(check(text), TEMPLATE_UNSAFE.id, "{text}");
    }
}

#[test]
fn made_up_names_are_unknown() {
    for text in [
        "{{ ''['_'~'_class_'~'_'] }}",
        "{{ ''['%c%cclass%c%c'%(95,95,95,95)] }}",
        "{% set u='_' %}{{ ''[u*2~'class'~u*2] }}",
        "{% set k = '_' + '_class_' + '_' %}{{ ''[k] }}",
        "{% set k %}__class__{% endset %}{{ ''[k] }}",
        "{% set a = 'a_b'[1] %}{% set b = [a, a, 'class', a, a] | join %}{% for c in [b] %}{{ ''[c] }}{% endfor %}",
        "{% macro m(k) %}{{ ''[k] }}{% endmacro %}{{ m('_' ~ '_class_' ~ '_') }}",
        "{% macro m() %}__class__{% endmacro %}{{ ''[m()] }}",
        "{% macro m() %}__class__{% endmacro %}{% set k = m() %}{{ ''[k] }}",
        "{% set ns = namespace(k='_' ~ '_class_' ~ '_') %}{{ ''[ns.k] }}",
        "{{ [''] | map(attribute='_' ~ '_class_' ~ '_') }}",
        "{% set l = [] %}{{ l.append('_' ~ '_class_' ~ '_') }}{% for k in l %}{{ ''[k] }}{% endfor %}",
        "{% raw %}{# {% endraw %}{{ x }}{# #}",
        "{{ x",
    ] {
        assert_eq!(check(text), TEMPLATE_UNREAD.id, "{text}");
    }
}
