"""Questions whose answers the demonstration model knows, word for word at temperature 0."""

FRANCE = "What is the capital of France?"
PARIS = "The capital of France is Paris."
SPAIN_TOO = "And of Spain?"
MADRID = "The capital of Spain is Madrid."
SUM = "What is 3 plus 4?"
SEVEN = "3 plus 4 is 7."
COUNT = "Count from 3 to 7."
COUNTED = "3, 4, 5, 6, 7."
LONG_STORY = "Tell me a long story."

DESCRIBE = "Describe Anna, 34, baker from Oslo as JSON."
ANNA = {"name": "Anna", "age": 34, "job": "baker", "city": "Oslo"}

WEATHER = "What is the weather in Oslo?"
TIME = "What time is it in Oslo?"
OSLO = {"city": "Oslo"}
RAINY = '{"temperature": 7, "sky": "rainy"}'
RAINY_OSLO = "It is 7 degrees and rainy in Oslo."
CLOCK = '{"time": "09:30"}'
CLOCK_OSLO = "It is 09:30 in Oslo."

ONCE = "Once upon a time"
CITY_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
