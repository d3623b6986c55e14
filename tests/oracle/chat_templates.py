"""The chat templates of the families that quern knows, as models carry them (tools left out)."""

_ALTERNATE = ("{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"
              "{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}"
              "{% endif %}")


def _roles(system, user, assistant, generate, head="", between=""):
    """One expression a role."""
    return (head + "{% for message in messages %}"
            "{% if message['role'] == 'system' %}{{ " + system + " }}"
            "{% elif message['role'] == 'user' %}{{ " + user + " }}"
            "{% elif message['role'] == 'assistant' %}{{ " + assistant + " }}{% endif %}" + between +
            "{% endfor %}{% if add_generation_prompt %}{{ " + generate + " }}{% endif %}")


def _every_role(before, after, generate, head=""):
    """Roles by their names."""
    return (head + "{% for message in messages %}{{ " + before + " + message['content'] + " + after +
            " }}{% endfor %}{% if add_generation_prompt %}{{ " + generate + " }}{% endif %}")


def _mistral(user, assistant, place):
    """Mistral's own of 2024; the system's text stands in the first or last of the user's."""
    content = "message['content']"
    return (_ALTERNATE + "{{- bos_token }}{# [AVAILABLE_TOOLS] #}{%- for message in loop_messages %}"
            "{%- if message['role'] == 'user' %}{%- if loop." + place + " and system_message is defined %}"
            "{{- " + user % ("system_message + '\\n\\n' + " + content) + " }}{%- else %}"
            "{{- " + user % content + " }}{%- endif %}"
            "{%- elif message['role'] == 'assistant' %}{{- " + assistant + " }}{%- endif %}{%- endfor %}")


TEMPLATES = {
    "chatml": _every_role("'<|im_start|>' + message['role'] + '\\n'", "'<|im_end|>' + '\\n'",
                          "'<|im_start|>assistant\\n'"),
    "phi4": _every_role("'<|im_start|>' + message['role'] + '<|im_sep|>'", "'<|im_end|>'",
                        "'<|im_start|>assistant<|im_sep|>'"),
    "mistral-v1": _mistral("' [INST] ' + %s + ' [/INST]'", "' ' + message['content'] + eos_token", "first"),
    "mistral-v3": _mistral('"[INST] " + %s + "[/INST]"', '" " + message["content"]|trim + eos_token', "last"),
    "mistral-v3-tekken": _mistral('"[INST]" + %s + "[/INST]"', 'message["content"] + eos_token', "last"),
    "mistral-v7": "{{ bos_token }}" + _roles(
        "'[SYSTEM_PROMPT] ' + message['content'] + '[/SYSTEM_PROMPT]'",
        "'[INST] ' + message['content'] + '[/INST]'", "' ' + message['content'] + eos_token", "''"),
    "mistral-v7-tekken": "{{ bos_token }}" + _roles(
        "'[SYSTEM_PROMPT]' + message['content'] + '[/SYSTEM_PROMPT]'",
        "'[INST]' + message['content'] + '[/INST]'", "message['content'] + eos_token", "''"),
    "llama2-sys-strip": _ALTERNATE + (
        "{% for message in loop_messages %}{% if loop.index0 == 0 and system_message is defined %}"
        "{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}"
        "{% else %}{% set content = message['content'] %}{% endif %}"
        "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
        "{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}"
        "{% endif %}{% endfor %}"),
    "llama2-sys": _ALTERNATE + (
        "{{ bos_token }}{% for message in loop_messages %}{% if message['role'] == 'user' %}{{ '[INST] ' }}"
        "{% if loop.first and system_message is defined %}{{ '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' }}"
        "{% endif %}{{ message['content'] + ' [/INST]' }}{% else %}{{ message['content'] + eos_token }}"
        "{% endif %}{% endfor %}"),
    "llama2": "{{ bos_token }}" + _roles(
        "raise_exception('no system')", "'[INST] ' + message['content'] + ' [/INST]'",
        "message['content'] + eos_token", "''"),
    "phi3": _roles("'<|system|>\\n' + message['content'] + '<|end|>\\n'",
                   "'<|user|>\\n' + message['content'] + '<|end|>\\n'",
                   "'<|assistant|>\\n' + message['content'] + '<|end|>\\n'", "'<|assistant|>\\n'"),
    "zephyr": "{% for message in messages %}\n{% if message['role'] == 'user' %}\n"
              "{{ '<|user|>\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'system' %}\n"
              "{{ '<|system|>\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'assistant' %}\n"
              "{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n"
              "{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}",
    "tulu": _roles("'<|system|>\n' + message['content'] + '\n'", "'<|user|>\n' + message['content'] + '\n'",
                   "'<|assistant|>\n' + message['content'] + eos_token + '\n'", "'<|assistant|>\n'",
                   head="{{ bos_token }}"),
    "gemma": _ALTERNATE + (
        "{{ bos_token }}{% for message in loop_messages %}{% if message['role'] == 'assistant' %}"
        "{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}"
        "{{ '<start_of_turn>' + role + '\\n' }}{% if loop.first and system_message is defined %}"
        "{{ system_message + '\\n\\n' }}{% endif %}{{ message['content'] | trim + '<end_of_turn>\\n' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"),
    "openchat": _every_role("'GPT4 Correct ' + message['role'].title() + ': '", "'<|end_of_turn|>'",
                            "'GPT4 Correct Assistant:'", head="{{ bos_token }}"),
    "deepseek": _roles("message['content']", "'### Instruction:\\n' + message['content'] + '\\n'",
                       "'### Response:\\n' + message['content'] + '\\n<|EOT|>\\n'", "'### Response:\\n'",
                       head="{{bos_token}}"),
    "deepseek2": _roles("message['content'] + '\\n\\n'", "'User: ' + message['content'] + '\\n\\n'",
                        "'Assistant: ' + message['content'] + eos_token", "'Assistant:'", head="{{ bos_token }}"),
    "deepseek3": _roles("message['content']", "'<｜User｜>' + message['content']",
                        "'<｜Assistant｜>' + message['content'] + '<｜end▁of▁sentence｜>'", "'<｜Assistant｜>'",
                        head="{{bos_token}}"),
    "command-r": _roles(
        "'<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>' + message['content'] + '<|END_OF_TURN_TOKEN|>'",
        "'<|START_OF_TURN_TOKEN|><|USER_TOKEN|>' + message['content'].strip() + '<|END_OF_TURN_TOKEN|>'",
        "'<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>'  + message['content'].strip() + '<|END_OF_TURN_TOKEN|>'",
        "'<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>'", head="{{ bos_token }}"),
    "llama3": "{% for message in messages %}{% set content = '<|start_header_id|>' + message['role'] + "
              "'<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' %}"
              "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}"
              "{% endfor %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}",
    "llama4": _every_role("'<|header_start|>' + message['role'] + '<|header_end|>\\n\\n'", "'<|eot|>'",
                          "'<|header_start|>assistant<|header_end|>\\n\\n'", head="{{ bos_token }}"),
    "granite": _every_role("'<|start_of_role|>' + message['role'] + '<|end_of_role|>'", "'<|end_of_text|>\\n'",
                           "'<|start_of_role|>assistant<|end_of_role|>'"),
    "vicuna": _roles("message['content'] + '\\n\\n'", "'USER: ' + message['content'] + '\\n'",
                     "'ASSISTANT: ' + message['content'] + eos_token + '\\n'", "'ASSISTANT:'"),
    "vicuna-orca": _roles("'SYSTEM: ' + message['content'] + '\\n'", "'USER: ' + message['content'] + '\\n'",
                          "'ASSISTANT: ' + message['content'] + eos_token + '\\n'", "'ASSISTANT:'"),
}

# Families whose models begin an answer with a space of their own.
SPACED = {"mistral-v1", "mistral-v3", "mistral-v7", "llama2-sys-strip", "openchat", "deepseek2", "vicuna",
          "vicuna-orca"}
# Whose system's text has its place elsewhere, or none: one turn has it, two have not.
SYSTEM_LAST = {"mistral-v3", "mistral-v3-tekken"}
NO_SYSTEM = {"llama2"}
# What stock writes otherwise than the template itself says.
NOT_STOCKS = {
    "llama2-sys-strip": "stock leaves out the spaces around answers",
    "deepseek3": "stock adds an empty line behind the system's text",
    "openchat": "stock leaves out the system's name",
    "zephyr": "stock takes it for another family",
    "tulu": "stock takes it for another family",
    "mistral-v7-tekken": "stock takes it for another family",
}
